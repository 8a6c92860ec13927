/**
 * A function of an object that is not changed afterwards (a checked configuration), evaluated once for each: several phases of a
 * plan ask for the same normalised form. What throws is evaluated again.
 */
export function deriveOnce<K extends object, V>(derive: (from: K) => V): (from: K) => V {
  const known = new WeakMap<K, { readonly value: V }>();
  return (from) => {
    let found = known.get(from);
    if (found === undefined) {
      found = { value: derive(from) };
      known.set(from, found);
    }
    return found.value;
  };
}
