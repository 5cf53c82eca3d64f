// `npm start`: the hands-on lab, a server and a client on this machine. `npm start -- --once` ends by itself.
// Leaves the lab itself to test/lab.

import { runCompiled } from './run-compiled.mjs';

const LAB = 'test/dist/lab/main.js';

await runCompiled('The hands-on lab', LAB);
