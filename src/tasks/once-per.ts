/** What is looked up for each value of an input, such as the categories of a column, is arranged once for each spec. */

/** Calls `make` once for each object, and keeps the result as long as the object. */
export function oncePer<Key extends object, Value extends object>(make: (key: Key) => Value): (key: Key) => Value {
  const known = new WeakMap<Key, Value>();
  return (key) => {
    const value = known.get(key) ?? make(key);
    known.set(key, value);
    return value;
  };
}

/** As `oncePer`, for functions that may return null. */
export function nullablePer<Key extends object, Value>(make: (key: Key) => Value): (key: Key) => Value {
  const find = oncePer((key: Key) => ({ value: make(key) }));
  return (key) => find(key).value;
}
