/** Names of places as services want their codes: English, in small letters without accents, spaces and punctuation. */

/** ISO 3166-1 alpha-2 and a name; some countries have several. */
const COUNTRIES = `
AD andorra,AE unitedarabemirates,AF afghanistan,AG antiguaandbarbuda,AG antiguabarbuda,AI anguilla,AL albania,
AM armenia,AO angola,AQ antarctica,AR argentina,AS americansamoa,AT austria,AU australia,AW aruba,
AX alandislands,AZ azerbaijan,BA bosniaandherzegovina,BA bosniaherzegovina,BB barbados,BD bangladesh,BE belgium,
BF burkinafaso,BG bulgaria,BH bahrain,BI burundi,BJ benin,BL saintbarthelemy,BL stbarthelemy,BM bermuda,
BN brunei,BO bolivia,BO plurinationalstateofbolivia,BQ caribbeannetherlands,BR brazil,BS bahamas,BT bhutan,
BV bouvetisland,BW botswana,BY belarus,BZ belize,CA canada,CC cocosislands,CD democraticrepublicofthecongo,
CD drcongo,CF centralafricanrepublic,CG congo,CH switzerland,CI cotedivoire,CI ivorycoast,CK cookislands,
CL chile,CM cameroon,CN china,CO colombia,CR costarica,CU cuba,CV caboverde,CV capeverde,CW curacao,
CX christmasisland,CY cyprus,CZ czechia,CZ czechrepublic,DE deu,DE germany,DJ djibouti,DK denmark,DM dominica,
DO dominicanrepublic,DZ algeria,EC ecuador,EE estonia,EG egypt,EH westernsahara,ER eritrea,ES spain,ET ethiopia,
FI finland,FJ fiji,FK falklandislands,FM micronesia,FO faroeislands,FR fra,FR france,GA gabon,GB england,GB gbr,
GB greatbritain,GB northernireland,GB scotland,GB uk,GB unitedkingdom,GB wales,GD grenada,GE georgia,
GF frenchguiana,GG guernsey,GH ghana,GI gibraltar,GL greenland,GM gambia,GN guinea,GP guadeloupe,
GQ equatorialguinea,GR greece,GS southgeorgiaandthesouthsandwichislands,GS southgeorgiasouthsandwichislands,
GT guatemala,GU guam,GW guineabissau,GY guyana,HK hongkong,HM heardislandandmcdonaldislands,
HM heardmcdonaldislands,HN honduras,HR croatia,HT haiti,HU hungary,ID indonesia,IE ireland,IL israel,
IM isleofman,IN india,IO britishindianoceanterritory,IQ iraq,IR iran,IR islamicrepublicofiran,IS iceland,
IT italy,JE jersey,JM jamaica,JO jordan,JP japan,KE kenya,KG kyrgyzstan,KH cambodia,KI kiribati,KM comoros,
KN saintkittsandnevis,KN stkittsnevis,KP northkorea,KR korea,KR republicofkorea,KR southkorea,KW kuwait,
KY caymanislands,KZ kazakhstan,LA lao,LA laos,LB lebanon,LC saintlucia,LC stlucia,LI liechtenstein,LK srilanka,
LR liberia,LS lesotho,LT lithuania,LU luxembourg,LV latvia,LY libya,MA morocco,MC monaco,MD moldova,
MD republicofmoldova,ME montenegro,MF saintmartin,MF stmartin,MG madagascar,MH marshallislands,MK macedonia,
MK northmacedonia,ML mali,MM burma,MM myanmar,MN mongolia,MO macao,MO macau,MP northernmarianaislands,
MQ martinique,MR mauritania,MS montserrat,MT malta,MU mauritius,MV maldives,MW malawi,MX mexico,MY malaysia,
MZ mozambique,NA namibia,NC newcaledonia,NE niger,NF norfolkisland,NG nigeria,NI nicaragua,NL holland,
NL netherlands,NL thenetherlands,NO norway,NP nepal,NR nauru,NU niue,NZ newzealand,OM oman,PA panama,PE peru,
PF frenchpolynesia,PG papuanewguinea,PH philippines,PK pakistan,PL poland,PM saintpierreandmiquelon,
PM stpierremiquelon,PN pitcairnislands,PR puertorico,PS palestine,PT portugal,PW palau,PY paraguay,QA qatar,
RE reunion,RO romania,RS serbia,RU russia,RU russianfederation,RW rwanda,SA saudiarabia,SB solomonislands,
SC seychelles,SD sudan,SE sweden,SG singapore,SH sainthelena,SH sthelena,SI slovenia,SJ svalbardandjanmayen,
SJ svalbardjanmayen,SK slovakia,SL sierraleone,SM sanmarino,SN senegal,SO somalia,SR suriname,SS southsudan,
ST saotomeandprincipe,ST saotomeprincipe,SV elsalvador,SX sintmaarten,SY syria,SY syrianarabrepublic,
SZ eswatini,SZ swaziland,TC turksandcaicosislands,TC turkscaicosislands,TD chad,TF frenchsouthernterritories,
TG togo,TH thailand,TJ tajikistan,TK tokelau,TL timorleste,TM turkmenistan,TN tunisia,TO tonga,TR turkey,
TR turkiye,TT trinidadandtobago,TT trinidadtobago,TV tuvalu,TW taiwan,TZ tanzania,TZ unitedrepublicoftanzania,
UA ukraine,UG uganda,UM usoutlyingislands,US america,US unitedstates,US unitedstatesofamerica,US usa,UY uruguay,
UZ uzbekistan,VA holysee,VA vaticancity,VC saintvincentandthegrenadines,VC stvincentgrenadines,
VE bolivarianrepublicofvenezuela,VE venezuela,VG britishvirginislands,VI usvirginislands,
VN socialistrepublicofvietnam,VN vietnam,VU vanuatu,WF wallisandfutuna,WF wallisfutuna,WS samoa,YE yemen,
YT mayotte,ZA southafrica,ZM zambia,ZW zimbabwe`

/** The two letters of the states of the USA. */
const STATES = `
al alabama,ak alaska,az arizona,ar arkansas,ca california,co colorado,ct connecticut,de delaware,dc districtofcolumbia,
fl florida,ga georgia,hi hawaii,id idaho,il illinois,in indiana,ia iowa,ks kansas,ky kentucky,la louisiana,me maine,
md maryland,ma massachusetts,mi michigan,mn minnesota,ms mississippi,mo missouri,mt montana,ne nebraska,nv nevada,
nh newhampshire,nj newjersey,nm newmexico,ny newyork,nc northcarolina,nd northdakota,oh ohio,ok oklahoma,or oregon,
pa pennsylvania,ri rhodeisland,sc southcarolina,sd southdakota,tn tennessee,tx texas,ut utah,vt vermont,va virginia,
wa washington,wv westvirginia,wi wisconsin,wy wyoming`

export const COUNTRY_NAMES = pairs(COUNTRIES)
export const STATE_NAMES = pairs(STATES)

export interface NamedPlace {
  readonly code: string
  readonly name: string
}

function pairs(text: string): readonly NamedPlace[] {
  return text
    .replaceAll(/\n/g, '')
    .split(',')
    .map((pair) => {
      const [code = '', name = ''] = pair.split(' ')
      return { code, name }
    })
}
