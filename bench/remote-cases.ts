/** Object stores and MySQL, each beside what its own client needs for the same rows. */
import { createReadStream } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { S3Client } from '@aws-sdk/client-s3'
import { Upload } from '@aws-sdk/lib-storage'
import { BlobServiceClient, StorageSharedKeyCredential } from '@azure/storage-blob'
import { startAzurite } from '../packages/connectors/test-servers/azurite.ts'
import { startMariadb, type MariadbServer } from '../packages/connectors/test-servers/mariadb.ts'
import { startS3 } from '../packages/connectors/test-servers/s3rver.ts'
import { csvStatement, figureOf, inTurns, type Case } from './cases.ts'
import { runProgram, secondsOf, secondsOfStatement } from './limits.ts'
import { BenchedPatchbay, wholeTable } from './patchbay.ts'
import { writeSampleTable } from './sample-table.ts'

/** As our connectors send them. */
const PART_BYTES = 8 * 1024 * 1024
const PARTS_AT_ONCE = 4

export const amazonS3: Case = async (where, scale) => {
  const rows = 10_000_000 * scale
  const table = await writeSampleTable(where, rows)
  const server = await startS3()
  try {
    const patchbay = new BenchedPatchbay(where, { PATCHBAY_SECRET_SECRET_ACCESS_KEY: server.secretAccessKey })
    await patchbay.importTable(table, 'people')
    await patchbay.addConnection('S3', 'amazon-s3', {
      ...{ service: 'compatible', endpoint: server.url, region: 'us-east-1', bucket: server.bucket },
      accessKeyId: server.accessKeyId,
    })
    await patchbay.addExport(wholeTable('To S3', 'people', 'S3', { folder: 'people' }, 'replace'))
    const client = new S3Client({
      ...{ endpoint: server.url, region: 'us-east-1', forcePathStyle: true },
      credentials: { accessKeyId: server.accessKeyId, secretAccessKey: server.secretAccessKey },
      requestChecksumCalculation: 'WHEN_REQUIRED',
    })
    const upload = (path: string): Promise<unknown> =>
      new Upload({
        client,
        params: { Bucket: server.bucket, Key: 'limit.csv', Body: createReadStream(path) },
        ...{ partSize: PART_BYTES, queueSize: PARTS_AT_ONCE },
      }).done()
    const { limitSeconds, ours } = await inTurns(
      () => secondsOfFinishedFile(table, where, upload),
      () => patchbay.run('To S3'),
    )
    client.destroy()
    return [
      figureOf({
        case: `${rows / 1e6} M rows to S3`,
        ...{ rows, ...ours },
        limit: "the SDK's own upload of the finished file (lib-storage, 8 MB, 4 at once)",
        ...{ limitSeconds, ratioAtLeast: 0.8 },
      }),
    ]
  } finally {
    await server.stop()
  }
}

export const azureBlob: Case = async (where, scale) => {
  const rows = 10_000_000 * scale
  const table = await writeSampleTable(where, rows)
  const server = await startAzurite()
  try {
    const patchbay = new BenchedPatchbay(where, { PATCHBAY_SECRET_ACCOUNT_KEY: server.key })
    await patchbay.importTable(table, 'people')
    await patchbay.addConnection('Azure', 'azure-blob', {
      ...{ signIn: 'key', account: server.account, container: server.container, endpoint: server.url },
    })
    await patchbay.addExport(wholeTable('To Azure', 'people', 'Azure', { folder: 'people' }, 'replace'))
    const blob = new BlobServiceClient(server.url, new StorageSharedKeyCredential(server.account, server.key))
      .getContainerClient(server.container)
      .getBlockBlobClient('limit.csv')
    const upload = (path: string): Promise<unknown> =>
      blob.uploadFile(path, { blockSize: PART_BYTES, concurrency: PARTS_AT_ONCE })
    const { limitSeconds, ours } = await inTurns(
      () => secondsOfFinishedFile(table, where, upload),
      () => patchbay.run('To Azure'),
    )
    return [
      figureOf({
        case: `${rows / 1e6} M rows to Azure Blob Storage`,
        ...{ rows, ...ours },
        limit: "the SDK's own upload of the finished file (uploadFile, 8 MB, 4 at once)",
        ...{ limitSeconds, ratioAtLeast: 0.8 },
      }),
    ]
  } finally {
    await server.stop()
  }
}

/** The file is there when the clock starts: ours has to write it meanwhile. */
async function secondsOfFinishedFile(
  table: string,
  where: string,
  upload: (path: string) => Promise<unknown>,
): Promise<number> {
  const path = join(where, 'limit.csv')
  await secondsOfStatement(csvStatement(table, path), { read: [], write: [where] })
  const seconds = await secondsOf(() => upload(path))
  await rm(path)
  return seconds
}

const MYSQL_COLUMNS = `id bigint, first_name longtext, last_name longtext, email longtext, age bigint, spend double,
  score double, birth_date date, last_seen datetime(6), consent tinyint(1), city longtext, country longtext, phone longtext,
  points bigint, tier bigint, street longtext, zip longtext, vip tinyint(1), code bigint, note longtext`

export const mysql: Case = async (where, scale) => {
  const rows = 1_000_000 * scale
  const table = await writeSampleTable(where, rows)
  const server = await startMariadb()
  try {
    const patchbay = new BenchedPatchbay(where, { PATCHBAY_SECRET_PASSWORD: server.password })
    await patchbay.importTable(table, 'people')
    await patchbay.addConnection('Database', 'mysql', {
      ...{ host: server.host, port: server.port, database: server.database, user: server.user, tls: 'none' },
    })
    for (const turn of [1, 2])
      await patchbay.addExport(
        wholeTable(`Append ${turn}`, 'people', 'Database', { table: `appended_${turn}` }, 'append'),
      )
    const csv = join(where, 'rows.csv')
    await secondsOfStatement(
      `COPY (SELECT * REPLACE (CAST(consent AS INT) AS consent, CAST(vip AS INT) AS vip) FROM read_parquet('${table}'))
       TO '${csv}' (FORMAT csv, HEADER false)`,
      { read: [], write: [where] },
    )
    const { limitSeconds, ours } = await inTurns(
      async (turn) => {
        await client(server, `CREATE TABLE by_hand_${turn} (${MYSQL_COLUMNS}) ENGINE = InnoDB`)
        const load = `LOAD DATA LOCAL INFILE '${csv}' INTO TABLE by_hand_${turn} CHARACTER SET utf8mb4
          FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '"' ESCAPED BY ''`
        return await secondsOf(() => client(server, load))
      },
      (turn) => patchbay.run(`Append ${turn}`),
    )
    return [
      figureOf({
        case: `${rows / 1e6} M rows to MySQL (MariaDB), append`,
        ...{ rows, ...ours },
        limit: 'LOAD DATA LOCAL of a ready CSV by its client, into a table without a key',
        ...{ limitSeconds, ratioAtLeast: 0.7 },
      }),
    ]
  } finally {
    await server.stop()
  }
}

async function client(server: MariadbServer, statement: string): Promise<void> {
  await runProgram(
    'mariadb',
    [
      ...[
        '--no-defaults',
        '--local-infile=1',
        `--host=${server.host}`,
        `--port=${server.port}`,
        `--user=${server.user}`,
      ],
      ...[`--password=${server.password}`, server.database],
    ],
    `${statement};\n`,
  )
}
