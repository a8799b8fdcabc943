/**
 * One name, and what it is in each column; undefined where a column has no such name.
 */
export interface IDifference<T> {
  readonly key: string;
  readonly values: readonly (T | undefined)[];
}

/**
 * The names whose values are not the same in all columns, in the order in which they appear.
 */
export function differences<T>(
  columns: readonly Readonly<Record<string, T>>[]
): readonly IDifference<T>[] {
  const keys = new Set(columns.flatMap(column => Object.keys(column)));
  return [...keys]
    .map(key => ({
      key,
      values: columns.map(column =>
        Object.prototype.hasOwnProperty.call(column, key)
          ? column[key]
          : undefined
      )
    }))
    .filter(({ values }) => {
      const [first, ...others] = values.map(value => JSON.stringify(value));
      return others.some(other => other !== first);
    });
}
