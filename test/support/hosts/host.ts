// One "host" under test: a temporary root with configuration files, and the daemons that the programs of bin/ start with this root.
// hosts.ts creates and cleans the host. Every process of the host, and no other, has RSIO_TEST_HOST=ROOT in its environment. The host
// therefore finds a process even if its parent has ended, and signals no other process.

import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type DaemonProgram, daemonPaths, type RsiodPaths, type RssrvPaths, rsiodPaths, rssrvPaths } from '@rsio/common/config/root-paths';
import { callControl } from '@rsio/api/rsiod/call-rsiod';
import { CONTROL_METHODS, type ControlMethodName, type ControlMethods } from '@rsio/api/rsiod/methods';
import { misfit } from '@rsio/base/lib/shape';
import { startInBackground } from '@rsio/base/daemon/background-start';
import { systemClock } from '@rsio/base/lib/clock';
import { errnoName, toRsError } from '@rsio/base/lib/errors';
import { escapeControls } from '@rsio/base/lib/printable';
import { FAULTY_SERVER, launcher, type Running, type RunResult, run, start, wellOf } from '../programs/programs.ts';
import { canRunHere, runHere } from '../programs/here.ts';
import { checkJson } from '../programs/json-output.ts';
import { Reaper } from '../programs/reaper.ts';
import { faultsFile, type ServerFaults } from '../faulty-server/volume-faults.ts';
import { waitFor } from '../programs/wait-for.ts';
import { LogMessages } from './log-messages.ts';

const MARK = 'RSIO_TEST_HOST';
/** Deadline for starting a daemon. This deadline is longer than the daemons' own bounds for starting and draining. */
const DAEMON_START_MS = 45_000;
const DAEMON_END_MS = 25_000;
const CONFIG_MODE = 0o600;
const RUN_TIMEOUT_MS = 90_000;
const LOGGED_MS = 5_000;
/** What the listener logs about a message of a server process that channel.ts or session-guard.ts refuses. */
const REFUSED = 'sent what no server process sends';
/** A command with this option freezes file systems, and therefore needs the mounts of the host. */
const WITH_MOUNTS: readonly string[] = ['--freeze', 'mount', 'umount'];

/** `here`: commands run in the process of the test if they can (programs/here.ts). `programs`: commands run as separate programs. */
export type CommandsRun = 'here' | 'programs';

export class Host {
  readonly root: string;
  readonly rssrvPaths: RssrvPaths;
  readonly rsiodPaths: RsiodPaths;
  private readonly command: readonly string[];
  private readonly commands: CommandsRun;
  private isPrefixForAll = true;
  /** True if the test lets a server process send what rssrv's own code never sends. */
  hasIntruder = false;
  /** Folder with the launchers of another release, which this host then runs; null: those of the checkout. */
  launchers: string | null = null;
  private readonly reaper: Reaper;
  private readonly logs: Readonly<Record<DaemonProgram, LogMessages>>;

  /** `command`: prefix of the command line of every launcher; empty: no prefix. `commands`: how rsconfig and rsadm run. */
  constructor(command: readonly string[] = [], commands: CommandsRun = 'here') {
    this.command = command;
    this.commands = commands;
    this.root = mkdtempSync(path.join(tmpdir(), 'rsio-'));
    this.rssrvPaths = rssrvPaths(this.root);
    this.rsiodPaths = rsiodPaths(this.root);
    this.logs = { rssrv: new LogMessages(this.rssrvPaths.logFile), rsiod: new LogMessages(this.rsiodPaths.logFile) };
    this.reaper = new Reaper(`${MARK}=${this.root}`, this.root, this.rssrvPaths.memoryDir);
  }

  /**
   * Runs rsconfig and rsadm without the prefix, in the process of the test, because only freezing and mounting need the prefix. Daemons without a
   * keeper start with the prefix, but without their launcher; the prefix must therefore replace its own process with the program (exec).
   */
  useNoPrefixForCommands(): void {
    this.isPrefixForAll = false;
  }

  /** Writes /etc/dvsc/rssrvcfg or /etc/rscltcfg below the root. */
  writeConfig(program: DaemonProgram, text: string): void {
    const file = daemonPaths(this.root, program).configFile;
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, text, { mode: CONFIG_MODE });
    chmodSync(file, CONFIG_MODE);
  }

  /** Absolute path of a file below the root; its folder is created. */
  file(name: string): string {
    const file = path.join(this.root, name);
    mkdirSync(path.dirname(file), { recursive: true });
    return file;
  }

  /**
   * Starts a daemon by its launcher. Resolves when the launcher has ended: either the daemon is up, or the result has exit code 1 and a
   * reason.
   */
  tryStart(program: DaemonProgram, args: readonly string[] = []): Promise<RunResult> {
    return this.run(program, args, DAEMON_START_MS);
  }

  /**
   * Starts a daemon that must come up. The process of the test does the work of the launcher: it starts the daemon in the background and
   * waits until the daemon is ready. Skipping the launcher saves a third of the processor time. The launcher itself runs only in
   * `tryStart`, or if a prefix or a keeper needs it.
   */
  async start(program: DaemonProgram, args: readonly string[] = []): Promise<RunResult> {
    const isBare = this.command.length === 0 || !this.isPrefixForAll;
    const isHere = isBare && this.launchers === null && !this.mayHaveKeeper(program);
    const result = await (isHere ? this.startHere(program, this.commandLine(program, args)) : this.tryStart(program, args));
    wellOf(program, result);
    return result;
  }

  /**
   * Starts the server for tests (test/support/faulty-server/) in the place of rssrv. `faults`: faults of the volumes. Absent: the faults of
   * the last start apply again.
   */
  async startFaulty(faults?: ServerFaults): Promise<RunResult> {
    if (faults !== undefined) writeFileSync(faultsFile(this.root), JSON.stringify(faults));
    const result = await this.startHere('rssrv', [...this.command, FAULTY_SERVER, '--root', this.root]);
    wellOf('rssrv', result);
    return result;
  }

  /** Pid of the running daemon. Throws if the daemon does not run. */
  pid(program: DaemonProgram): number {
    return Number.parseInt(readFileSync(daemonPaths(this.root, program).pidFile, 'utf8'), 10);
  }

  /** Sends SIGTERM to the daemon; resolves when it has ended, with the time in ms that this took. */
  stop(program: DaemonProgram): Promise<number> {
    return this.end(program, 'SIGTERM');
  }

  /** Sends SIGKILL to the daemon only; resolves when it has ended. */
  kill(program: DaemonProgram): Promise<number> {
    return this.end(program, 'SIGKILL');
  }

  /** Pid of the server process that has the session of this node. Throws if no process has this session. */
  worker(node: string): number {
    const began = [...this.log('rssrv').matchAll(/^Node (\S+) .*began a session, process (\d+)/gm)];
    const last = began.findLast(([, name]) => name === node);
    if (last === undefined) throw new Error(`Node ${node} has begun no session`);
    return Number(last[2]);
  }

  /** Every living process of this host: daemons, server processes, helpers, commands. */
  processes(): number[] {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
      .filter((pid) => pid !== process.pid && this.owns(pid));
  }

  /** All messages of a daemon's log so far, one per line, without time and level. Leaves out a line that is not complete. */
  log(program: DaemonProgram): string {
    return this.logs[program].text();
  }

  /** Waits for a line in a daemon's log, because the daemon may write the line after its answer. A failure shows the whole log. */
  async logged(program: DaemonProgram, said: string | RegExp): Promise<void> {
    const has = (): boolean => (typeof said === 'string' ? this.log(program).includes(said) : said.test(this.log(program)));
    await waitFor(has, LOGGED_MS, `The log of ${program} says ${said}`).catch((error: Error) => {
      throw new Error(`${error.message}\n${this.log(program)}`);
    });
  }

  /** Runs a launcher with this root, and waits for its end. rsconfig and rsadm run in the process of the test if they can. */
  async run(program: string, args: readonly string[] = [], timeoutMs = RUN_TIMEOUT_MS): Promise<RunResult> {
    const isBare = this.command.length === 0 || (!this.isPrefixForAll && !args.some((one) => WITH_MOUNTS.includes(one)));
    const isHere = this.commands === 'here' && isBare && this.launchers === null && canRunHere(program, args);
    const [first = '', ...rest] = this.commandLine(program, args);
    const result = await (isHere
      ? runHere(program, ['--root', this.root, ...args], timeoutMs)
      : run(first, rest, { timeoutMs, env: this.environment() }));
    if (this.launchers === null) checkJson(program, args, result);
    return result;
  }

  /** Runs a daemon with `--check`. Leaves out the warning that this machine has no user for server processes. */
  async check(program: DaemonProgram): Promise<RunResult> {
    const result = await this.run(program, ['--check']);
    return { ...result, stderr: result.stderr.replace(/^rssrv: Warning: Server processes run as root: create the user .*\n/m, '') };
  }

  /** Starts a launcher with this root and does not wait for its end. If the program still runs after two minutes, it is killed. */
  beside(program: string, args: readonly string[]): Running {
    const [first = '', ...rest] = this.commandLine(program, args);
    return start(first, rest, { timeoutMs: 120_000, env: this.environment() });
  }

  /** Runs `rsconfig ARGS`; any exit code is accepted. */
  rsconfig(...args: readonly string[]): Promise<RunResult> {
    return this.run('rsconfig', args);
  }

  /** `rsconfig ARGS` that must succeed; returns stdout. */
  async rsconfigWell(...args: readonly string[]): Promise<string> {
    return wellOf(`rsconfig ${args.join(' ')}`, await this.rsconfig(...args));
  }

  /** Runs `rsadm ARGS`; any exit code is accepted. */
  rsadm(...args: readonly string[]): Promise<RunResult> {
    return this.run('rsadm', args);
  }

  /** `rsadm ARGS` that must succeed; returns stdout. */
  async rsadmWell(...args: readonly string[]): Promise<string> {
    return wellOf(`rsadm ${args.join(' ')}`, await this.rsadm(...args));
  }

  /** Asks rsiod over its control socket, as rsconfig does. Throws unless the answer has exactly the declared fields and types. */
  async call<M extends ControlMethodName>(method: M, params: ControlMethods[M]['params']): Promise<ControlMethods[M]['result']> {
    const result = await callControl(this.rsiodPaths.controlSocket, method, params);
    const trouble = misfit(CONTROL_METHODS[method].result, result, 'exactly');
    if (trouble !== null) throw new Error(`rsiod's answer to ${method} is not what the table says: ${trouble}`);
    return result;
  }

  /** NBD URI of an export, such as `osl/oracle` or `oracle`. With '', the URI for the list of exports. */
  nbdUri(name: string): string {
    return `nbd+unix:///${name}?socket=${this.rsiodPaths.nbdSocket}`;
  }

  async pathsUp(count: number, deadlineMs = 10_000): Promise<void> {
    const isUp = async (): Promise<boolean> => {
      const { interfaces } = await this.call('status', {});
      return interfaces.flatMap(({ reps }) => reps).filter(({ state }) => state === 'up').length === count;
    };
    await waitFor(isUp, deadlineMs, `${count} paths up`);
  }

  /**
   * Ends every process of this host and removes its root and its memory volumes. Then throws if the listener has refused a message of its own
   * server process, because such a server seems to work: its clients connect again each time.
   */
  async clean(): Promise<void> {
    const memoryFiles = this.memoryFiles();
    const none = (): boolean => {
      const left = this.processes();
      for (const pid of left) signal(pid, 'SIGKILL');
      return left.length === 0;
    };
    await waitFor(none, DAEMON_END_MS, `No process of ${this.root}`);
    const refused = this.hasIntruder
      ? undefined
      : textOrEmpty(this.rssrvPaths.logFile)
          .split('\n')
          .find((line) => line.includes(REFUSED));
    for (const file of memoryFiles) rmSync(file, { force: true });
    rmSync(this.root, { recursive: true, force: true });
    this.reaper.dismiss();
    if (refused !== undefined) throw new Error(`The listener has refused a message of its own server process: ${refused}`);
  }

  /** Starts a daemon in the background as its launcher does, with the same child process and the same lines on stderr. */
  private async startHere(program: DaemonProgram, commandLine: readonly string[]): Promise<RunResult> {
    const startMs = performance.now();
    const result = { signal: null, stdout: '', timedOut: false };
    let stderr = '';
    const note = (sentence: string): void => {
      stderr += `${program}: ${escapeControls(sentence)}\n`;
    };
    const [file = '', ...rest] = commandLine.slice(this.command.length);
    const saved = process.env[MARK];
    Object.assign(process.env, this.environment());
    // The environment is set only for this call. startInBackground spawns the child before it returns, so the child inherits the
    // environment.
    const started = startInBackground({ program, command: [...this.command, process.execPath, file, ...rest], note }, systemClock);
    if (saved === undefined) delete process.env[MARK];
    else process.env[MARK] = saved;
    try {
      await started;
    } catch (thrown) {
      const { code, message } = toRsError(thrown);
      note(`${message} [${code}]`);
      return { ...result, code: 1, stderr, elapsedMs: performance.now() - startMs };
    }
    return { ...result, code: 0, stderr, elapsedMs: performance.now() - startMs };
  }

  /** Whether the daemon may have a keeper, which only the launcher starts: rsiod with devices. */
  private mayHaveKeeper(program: DaemonProgram): boolean {
    if (program !== 'rsiod') return false;
    const kinds = [...textOrEmpty(this.rsiodPaths.configFile).matchAll(/^\s*device\s*=\s*(\S+)/gm)].map(([, kind]) => kind);
    return kinds.length === 0 || kinds.some((kind) => kind !== 'nbd-socket' && kind !== 'none');
  }

  private async end(program: DaemonProgram, how: NodeJS.Signals): Promise<number> {
    const pid = this.pid(program);
    const startMs = performance.now();
    process.kill(pid, how);
    await waitFor(() => hasEnded(pid), DAEMON_END_MS, `${program} ends after ${how}`);
    return performance.now() - startMs;
  }

  commandLine(program: string, args: readonly string[]): string[] {
    const file = this.launchers === null ? launcher(program) : path.join(this.launchers, program);
    return [...this.command, file, '--root', this.root, ...args];
  }

  /** An environment variable of every process of this host, by which the host finds and ends them. */
  environment(): Record<string, string> {
    return { [MARK]: this.root };
  }

  private owns(pid: number): boolean {
    // A zombie no longer has an environment.
    return textOrEmpty(`/proc/${pid}/environ`).split('\0').includes(`${MARK}=${this.root}`);
  }

  private memoryFiles(): string[] {
    const text = textOrEmpty(this.rssrvPaths.volumesFile) + textOrEmpty(this.rssrvPaths.configFile);
    const ids = text.toLowerCase().match(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g) ?? [];
    return ids.map((id) => path.join(this.rssrvPaths.memoryDir, `rsio-${id}`));
  }
}

/** A process that is exiting has no environment any more, but counts as alive until it is a zombie. */
function hasEnded(pid: number): boolean {
  const stat = textOrEmpty(`/proc/${pid}/stat`);
  return stat === '' || /\) [ZX] /.test(stat);
}

function textOrEmpty(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

function signal(pid: number, how: NodeJS.Signals): void {
  try {
    process.kill(pid, how);
  } catch (error) {
    if (errnoName(error) !== 'ESRCH') throw error;
  }
}
