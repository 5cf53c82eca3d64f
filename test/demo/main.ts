// The demo, `npm start`: a server and a client as separate processes on this machine, shown step by step. This file handles arguments,
// signals and exit codes (0; 1: a step failed; 2: wrong usage; 130: interrupted by the user). demo.ts has the steps. Invariant: before the
// demo ends, everything is unmounted, the daemons are stopped and the root is removed, unless SIGKILL ends the demo.

import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { Demo } from './demo.ts';
import { makeDemoRoot } from './demo-root.ts';
import { Screen, seconds, wantsColour } from './machine/screen.ts';

const HELP = `usage: npm start -- [--once] [--root DIR] [--bare]

Shows a server and a client at work on this machine, then keeps both running until Ctrl-C, so that you can try them.
As root, with /dev/fuse and loop devices, it shows block devices too.

  --once            exit after the last step (the default without a terminal)
  --root DIR        use this empty or new directory, which is removed at the end
  --bare            use only Node, even if other tools are installed
  --help            print this help and exit
`;

const OPTIONS = {
  once: { type: 'boolean' },
  root: { type: 'string' },
  bare: { type: 'boolean' },
  help: { type: 'boolean' },
} as const;

/** The folder of the checkout, seen from the compiled file test/dist/demo/main.js. */
const REPOSITORY = fileURLToPath(new URL('../../..', import.meta.url));
const STEPS_TIMEOUT_MS = 180_000;
const INTERRUPTED = 130;

function optionsOf(args: readonly string[]) {
  return parseArgs({ args: [...args], options: OPTIONS }).values;
}

type Options = ReturnType<typeof optionsOf>;

/** Returns a controller that aborts on each signal with which a user, the terminal or a time limit ends the demo. */
function abortOnSignals(): AbortController {
  const controller = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => controller.abort());
  // If the reader of the output has ended, as with `| head`, the demo shuts down cleanly and prints no message.
  process.stdout.on('error', () => controller.abort());
  return controller;
}

async function run({ root: given, once, bare }: Options): Promise<number> {
  const screen = new Screen({
    out: (text) => process.stdout.write(text),
    colour: wantsColour(process.stdout.isTTY, process.env),
  });
  const startMs = performance.now();
  const stays = once !== true && process.stdin.isTTY && process.stdout.isTTY;
  const controller = abortOnSignals();
  const { signal } = controller;
  const root = makeDemoRoot(given);
  const demo = new Demo({ root, repository: REPOSITORY, screen, signal, bare: bare === true });
  let code = 0;
  try {
    screen.line(`The RSIO demo: a server and a client on this machine, everything below ${root.path}`);
    await withDeadline(controller, () => demo.runSteps());
    if (stays) await demo.leaveRunning();
  } catch (thrown) {
    code = signal.aborted && !(signal.reason instanceof RsError) ? INTERRUPTED : 1;
    if (code === 1) {
      screen.bad(`\nThis step failed: ${describe(signal.aborted ? signal.reason : thrown)}`);
      await demo.showLogs();
    }
  }
  screen.line('');
  try {
    await demo.end();
  } catch (thrown) {
    screen.bad(describe(thrown));
    code = 1;
  }
  const outcome = code === 0 ? 'All done, nothing left behind' : code === 1 ? 'Failed' : 'Interrupted, nothing left behind';
  if (code === 0) screen.good(`${outcome} (${seconds(performance.now() - startMs)})`);
  else screen.bad(outcome);
  return code;
}

async function withDeadline(controller: AbortController, work: () => Promise<void>): Promise<void> {
  const timer = setTimeout(() => {
    controller.abort(new RsError('E_TIMEOUT', `The steps took longer than ${seconds(STEPS_TIMEOUT_MS)}: see the logs below`));
  }, STEPS_TIMEOUT_MS);
  try {
    await work();
  } finally {
    clearTimeout(timer);
  }
}

function describe(thrown: unknown): string {
  const { message, code } = toRsError(thrown);
  return `${message} [${code}]`;
}

async function main(): Promise<number> {
  let options: Options;
  try {
    options = optionsOf(process.argv.slice(2));
  } catch (thrown) {
    process.stderr.write(`demo: ${toRsError(thrown).message}: see npm start -- --help [E_USAGE]\n`);
    return 2;
  }
  if (options.help === true) {
    process.stdout.write(HELP);
    return 0;
  }
  try {
    return await run(options);
  } catch (thrown) {
    const error = toRsError(thrown);
    process.stderr.write(`demo: ${describe(error)}\n`);
    return error.kind === 'usage' ? 2 : 1;
  }
}

process.exitCode = await main();
