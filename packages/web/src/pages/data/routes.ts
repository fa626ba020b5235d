/** Data > Exports, Tables, Segments, and the page of a run. */
export const dataRoutes = [] as const
