import { rm } from 'node:fs/promises';

export default async function removeTemplate() {
  await rm(process.env.MODELGRAPH_TEMPLATE ?? '', { recursive: true, force: true });
}
