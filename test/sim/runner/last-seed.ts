// The number of seeds in every test run, from 1 on. first-seeds.test.ts runs them; the zoo's hunts rely on the unbroken code passing them.
// It is a file of its own so that both read the same number.

export const LAST_SEED = 300;
