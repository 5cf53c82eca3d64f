// `pnpm lab`: the netlab; arguments after `--` are its own (`--full`, `--only silent`).
// Leaves measuring to test/figures/netlab.

import { runSource } from './run-source.mjs';

runSource('test/figures/netlab/main.ts');
