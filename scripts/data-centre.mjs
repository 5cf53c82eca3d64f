// `npm run data-centre`: three servers in two namespaces, three clients; arguments after `--` are its own (`--seed 17`, `--stay`).
// Leaves the steps to test/data-centre.

import { runSource } from './run-source.mjs';

runSource('test/data-centre/main.ts');
