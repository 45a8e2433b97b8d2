/** Creates instances of the decorated classes from all of their fields. */

/** The fields of a class, without its methods. */
type FieldsOf<T> = { [K in keyof T as T[K] extends (...args: never[]) => unknown ? never : K]: T[K] };

/** A forgotten field is a compile error. */
export function create<T extends object>(Type: new () => T, fields: FieldsOf<T>): T {
  return Object.assign(new Type(), fields);
}
