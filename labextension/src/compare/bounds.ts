/**
 * How many jobs can be compared.
 */
export const FEWEST = 2;
export const MOST = 20;
