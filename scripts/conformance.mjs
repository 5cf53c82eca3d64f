// `pnpm conformance`: tries every rule of docs/PROTOCOL.md on a server at any address; arguments are the suite's own (`--help`).
// Leaves the cases to test/conformance.

import { runCompiled } from './run-compiled.mjs';

await runCompiled('The conformance suite', 'test/dist/conformance/main.js');
