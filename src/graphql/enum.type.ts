import { registerEnumType } from 'type-graphql';

/**
 * Registers an enum of the schema from one table of values and their descriptions, and returns its enum object.
 *
 * Pass the union of values as the type argument where the values are defined elsewhere: the compiler then asks for a
 * description of each.
 */
export function enumOf<Value extends string>(
  name: string,
  description: string,
  values: Readonly<Record<Value, string>>,
): { readonly [V in Value]: V } {
  const entries = Object.entries<string>(values);
  const enumObject = Object.fromEntries(entries.map(([value]) => [value, value])) as { readonly [V in Value]: V };
  const valuesConfig = Object.fromEntries(entries.map(([value, text]) => [value, { description: text }]));
  registerEnumType<Record<string, string>>(enumObject, { name, description, valuesConfig });
  return enumObject;
}
