/** Ids of records: a prefix for the type, and a UUID version 7. */
import { v7 } from 'uuid';

/** The prefix of an id tells its type. Clients treat ids as opaque. */
const PREFIXES = {
  Model: 'model',
  Version: 'version',
  Dataset: 'dataset',
  Evaluation: 'evaluation',
  Prediction: 'prediction',
};
export type NodeTypeName = keyof typeof PREFIXES;

/** Ids of one type sort by creation time. */
export function newId(type: NodeTypeName): string {
  return `${PREFIXES[type]}_${v7()}`;
}

/** The smallest id that could be created at this time, for range conditions. */
export function firstIdAt(type: NodeTypeName, ms: number): string {
  const hex = Math.max(0, ms).toString(16).padStart(12, '0');
  return `${PREFIXES[type]}_${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000000`;
}

export function typeOfId(id: string): NodeTypeName | undefined {
  const prefix = id.slice(0, id.indexOf('_'));
  return (Object.keys(PREFIXES) as NodeTypeName[]).find((type) => PREFIXES[type] === prefix);
}
