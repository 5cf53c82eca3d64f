// `npm run restarts`: kills, crashes and replaces a server under verified I/O; arguments after `--` are its own (`--runs 20`).
// Leaves the drills to test/figures.

import { runSource } from './run-source.mjs';

runSource('test/figures/restarts.ts');
