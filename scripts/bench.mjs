// `npm run bench`: measures rssrv beside its peers; arguments after `--` are the bench's own (`--quick`).
// Leaves the measuring to bench/.

import { runCompiled } from './run-compiled.mjs';

const BENCH = 'bench/dist/main.js';

await runCompiled('The bench', BENCH);
