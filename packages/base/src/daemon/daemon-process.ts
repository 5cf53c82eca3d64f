// Starts and stops rssrv and rsiod, in the foreground or as a detached child. A pid file ensures that only one daemon runs per root
// directory. Invariant: the shell prompt returns only after the daemon is ready, or after a failed daemon has reported the error and has
// exited.

import { spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { killChild } from '../lib/kill-child.ts';
import { BACKGROUND_VARIABLE, STARTER_FD, type StartMessage, startInBackground } from './background-start.ts';
import { type Clock, systemClock } from '../lib/clock.ts';
import { RsError, toRsError } from '../lib/errors.ts';
import { acquirePidFile } from './pid-file.ts';

/** Lets a program's `main` control the process in which `main` runs. */
export interface Daemon {
  /** Pid of the previous daemon if that daemon has died since the last reboot without releasing the pid file; else null. */
  readonly leftBy: number | null;
  /** Reports that the daemon is ready, so that the shell prompt returns. Further calls do nothing. */
  ready(): void;
  /**
   * Writes a message to the terminal from which the daemon was started. After `ready`, a daemon in the background has no terminal and must
   * use the log.
   */
  warn(sentence: string): void;
  /**
   * Sets the hook that is called on each SIGTERM or SIGINT. If a signal has already arrived, the hook is called at once. In the background,
   * the hook is also called if the starting process exits before the daemon is ready.
   */
  onStop(hook: (reason: string) => void): void;
  /** Sets the hook that is called on each later SIGHUP. */
  onReload(hook: () => void): void;
}

export interface DaemonOptions {
  readonly program: string;
  readonly foreground: boolean;
  readonly pidFile: string;
  /** Writes one line to the terminal from which the program was started. */
  readonly note: (sentence: string) => void;
  /** Parent process that can restart the daemon; null if the daemon has no keeper. */
  readonly keeper?: DaemonKeeper | null;
  /**
   * Runs the daemon; the promise settles when the daemon has finished. If the promise rejects before `ready` is called, the error appears
   * on the terminal.
   */
  readonly main: (daemon: Daemon) => Promise<void>;
}

export interface DaemonKeeper {
  /** Number of this process among the keeper's successive children, counted from 1; 0 if this process is not a child of the keeper. */
  readonly childNumber: number;
  /**
   * Returns the command that starts a keeper, which then runs `command` as its child. If `starterFd` is not null, the keeper passes this
   * descriptor to its first child. If `isBound` is true, the keeper exits when this process exits.
   */
  wrap(command: readonly string[], starterFd: number | null, isBound: boolean): string[];
}

/**
 * Starts the daemon. Runs `main` if this process is the background child, is a child of the keeper, or runs in the foreground without a
 * keeper. In all other cases, starts this program again with the same arguments, below a keeper or in the background. Paths must be
 * absolute, because the background child changes its working directory to `/`. Resolves when `main` has finished or the background child is
 * ready. Rejects with E_ALREADY_RUNNING, E_RIGHTS, E_TIMEOUT, or the error from `main`.
 */
export async function startDaemon(options: DaemonOptions, clock: Clock = systemClock): Promise<void> {
  const { program, note, foreground, keeper = null } = options;
  const starter = { warn: note, ready: () => {} };
  if (!foreground && process.env[BACKGROUND_VARIABLE] !== undefined && process.send !== undefined) return runAsChild(options);
  // A restarted child of the keeper has no terminal to which it could report.
  if ((keeper?.childNumber ?? 0) > 0 || (foreground && keeper === null)) return runHere(options, starter, new SignalHooks());
  const [node = '', script = ''] = process.argv;
  const command = [node, ...process.execArgv, script, ...process.argv.slice(2)];
  if (foreground) return runBelow(program, keeper?.wrap(command, null, true) ?? command);
  return startInBackground({ program, note, command: keeper?.wrap(command, STARTER_FD, false) ?? command }, clock);
}

/** Starts a keeper in the foreground and forwards signals to the keeper. If the keeper fails, this process exits with an error code. */
async function runBelow(program: string, command: readonly string[]): Promise<void> {
  const [first = '', ...rest] = command;
  const child = spawn(first, rest, { stdio: 'inherit' });
  const pass = (signal: NodeJS.Signals): void => killChild(child, signal);
  const signals = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, pass);
  const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((ended, failed) => {
    child.on('error', (error) =>
      failed(new RsError('E_SYSTEM', `${program} could not be started (${error.message}): check memory and process limits`)),
    );
    child.on('close', (...how) => ended(how));
  });
  for (const one of signals) process.off(one, pass);
  // The child process has already reported its error.
  if (code !== 0) process.exit(code ?? (signal === 'SIGKILL' ? 137 : 1));
}

interface Starter {
  warn(sentence: string): void;
  ready(): void;
}

async function runAsChild(options: DaemonOptions): Promise<void> {
  delete process.env[BACKGROUND_VARIABLE];
  const pidFile = resolve(options.pidFile);
  process.chdir('/');
  let isHeard = true;
  const send = (message: StartMessage, then?: () => void) => {
    // If the starting process has exited, the `disconnect` event has already asked the daemon to stop.
    if (isHeard && process.connected) process.send?.(message, undefined, undefined, () => then?.());
    else then?.();
  };
  const fail = (thrown: unknown, then?: () => void) => {
    const { code, message } = toRsError(thrown);
    send({ type: 'failed', code, message }, then);
  };
  const hooks = new SignalHooks();
  const onUncaught = (thrown: unknown) => fail(thrown);
  const onStarterGone = () => hooks.stopFor('its starter went away');
  // An exception outside `main` terminates the process without reaching the `catch` block below.
  process.on('uncaughtExceptionMonitor', onUncaught);
  process.on('disconnect', onStarterGone);
  const leave = () => {
    isHeard = false;
    process.off('uncaughtExceptionMonitor', onUncaught);
    process.off('disconnect', onStarterGone);
    if (process.connected) process.disconnect();
  };
  const starter: Starter = {
    warn: (text) => send({ type: 'warning', text }),
    ready: () => {
      process.off('disconnect', onStarterGone);
      send({ type: 'ready' }, leave);
    },
  };
  try {
    await runHere({ ...options, pidFile }, starter, hooks);
  } catch (thrown) {
    await new Promise<void>((sent) => fail(thrown, sent));
    throw thrown;
  } finally {
    leave();
  }
}

async function runHere(options: DaemonOptions, starter: Starter, hooks: SignalHooks): Promise<void> {
  const life = options.keeper?.childNumber ?? 0;
  const isKept = life > 0;
  const pidFile = acquirePidFile(resolve(options.pidFile), options.program, isKept ? process.ppid : process.pid);
  const atExit = () => pidFile.release();
  // If there is a keeper, the keeper owns the pid file, so the exit of its child must not release the file.
  if (!isKept) process.on('exit', atExit);
  let isReady = false;
  const daemon: Daemon = {
    leftBy: pidFile.leftBy,
    ready: () => {
      if (!isReady) starter.ready();
      isReady = true;
    },
    warn: (sentence) => starter.warn(sentence),
    onStop: (hook) => hooks.onStop(hook),
    onReload: (hook) => hooks.onReload(hook),
  };
  hooks.listen();
  try {
    await options.main(daemon);
    pidFile.release();
  } finally {
    hooks.close();
    process.off('exit', atExit);
    if (!isKept || (life === 1 && !isReady)) pidFile.release();
  }
}

/** An early request to stop is stored until the program sets the stop hook. */
class SignalHooks {
  private stopReason: string | undefined;
  private stop: ((reason: string) => void) | undefined;
  private reload: (() => void) | undefined;
  private readonly onSignal = (signal: NodeJS.Signals): void => this.stopFor(signal);
  private readonly onHangUp = (): void => this.reload?.();

  listen(): void {
    process.on('SIGTERM', this.onSignal);
    process.on('SIGINT', this.onSignal);
    process.on('SIGHUP', this.onHangUp);
  }

  onStop(hook: (reason: string) => void): void {
    this.stop = hook;
    if (this.stopReason !== undefined) hook(this.stopReason);
  }

  onReload(hook: () => void): void {
    this.reload = hook;
  }

  close(): void {
    process.off('SIGTERM', this.onSignal);
    process.off('SIGINT', this.onSignal);
    process.off('SIGHUP', this.onHangUp);
  }

  stopFor(reason: string): void {
    this.stopReason = reason;
    this.stop?.(reason);
  }
}
