const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

/**
 * Metrics that people look at first, in this order; the others follow by name.
 */
const FAVOURITES = ['loss', 'accuracy', 'val_loss', 'val_accuracy', 'epoch'];

/**
 * Metrics that count how far the experiment is, in the order in which they are chosen as axis.
 */
export const COUNTERS: readonly string[] = [
  'epoch',
  'step',
  'global_step',
  'iteration'
];

/**
 * A number with four significant digits: 0.4123, 12.35, 1.3e-7, 15000.
 */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value) || Number.isInteger(value)) {
    return String(value);
  }
  return String(Number(value.toPrecision(4)));
}

/**
 * An amount of memory: "512 B", "1.4 GiB".
 */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || value >= 100 ? 0 : 1;
  return `${value.toFixed(digits)} ${UNITS[unit]}`;
}

/**
 * A value of a config or a metric, on one line.
 */
export function formatValue(value: unknown): string {
  if (typeof value === 'number') {
    return formatNumber(value);
  }
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
}

/**
 * The names of metrics in the order in which people look at them.
 */
export function orderedMetrics(
  metrics: Readonly<Record<string, unknown>>
): string[] {
  const rank = (name: string) => {
    const place = FAVOURITES.indexOf(name);
    return place < 0 ? FAVOURITES.length : place;
  };
  return Object.keys(metrics).sort(
    (a, b) => rank(a) - rank(b) || a.localeCompare(b)
  );
}
