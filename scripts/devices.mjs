// `npm run devices`: what the devices of a client carry, beside nbdkit; arguments after `--` are its own (`--rounds 3`).
// Leaves measuring to test/figures.

import { runSource } from './run-source.mjs';

runSource('test/figures/devices.ts');
