// `npm start`: the demo, a server and a client on this machine. `npm start -- --once` ends by itself.
// Leaves the demo to test/demo.

import { runCompiled } from './run-compiled.mjs';

const DEMO = 'test/dist/demo/main.js';

await runCompiled('The demo', DEMO);
