// The number of seeds in every test run, from 1 on, and the last of the worlds with mirrors, which come after them. first-seeds.test.ts runs
// them; the zoo's hunts rely on the unbroken code passing them. It is a file of its own so that both read the same numbers.

export const LAST_SEED = 300;
export const LAST_MIRROR_SEED = 362;
