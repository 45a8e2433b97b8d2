import { validate, version } from 'uuid';
import { firstIdAt, newId, typeOfId } from '#src/storage/ids.js';

test('ids are UUIDs of version 7 that differ and sort by creation, those of one millisecond included', () => {
  const before = firstIdAt('Prediction', Date.now());
  const ids = Array.from({ length: 20_000 }, () => newId('Prediction'));

  expect(new Set(ids).size).toBe(ids.length);
  expect(ids.toSorted()).toEqual(ids);
  expect(before < (ids[0] as string)).toBe(true);
  expect(ids.every((id) => typeOfId(id) === 'Prediction')).toBe(true);
  const uuids = ids.map((id) => id.slice('prediction_'.length));
  expect(uuids.every((uuid) => validate(uuid) && version(uuid) === 7)).toBe(true);
  // The last 48 bits are random in each.
  expect(new Set(uuids.map((uuid) => uuid.slice(-12))).size).toBe(uuids.length);
});
