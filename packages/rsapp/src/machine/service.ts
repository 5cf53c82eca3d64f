// The service of an application: a systemd unit, or programs in a control group. Invariants: a stop ends with no process of the service, or
// with an error that names the remaining ones; rsapp may end and start again without a change of the service.

import { sleep } from '@rsio/base/lib/waiting';
import { spawn } from 'node:child_process';
import { unsafeProgram } from '@rsio/base/files/safe-program';
import type { Clock } from '@rsio/base/lib/clock';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { KILL_LOOK_MS, KILLED_WAIT_MS, USERS_NAMED_MAX } from '../limits.ts';
import { type ControlGroup, ENTER } from './control-group.ts';
import { type RunProgram, runWell } from './programs.ts';

export interface AppService {
  /** `failed`: it has ended, or its check says that it is not well. */
  state(): Promise<'stopped' | 'running' | 'failed'>;
  start(timeoutMs: number): Promise<void>;
  /** Ends the service, by force after `timeoutMs`; 0: at once. */
  stop(timeoutMs: number): Promise<void>;
}

/** What systemctl says if systemd does not run the machine, as in many containers. */
const NO_SYSTEMD = /Failed to connect to (?:the )?(?:bus|system scope bus)|not been booted with systemd/;

export class UnitService implements AppService {
  private readonly unit: string;
  private readonly run: RunProgram;

  constructor(unit: string, run: RunProgram) {
    this.unit = unit;
    this.run = run;
  }

  async state(): Promise<'stopped' | 'running' | 'failed'> {
    const text = await shownUnit(this.run, this.unit);
    if (/^LoadState=(?:not-found|masked|bad-setting|error)$/m.test(text)) return 'stopped';
    const [, active = ''] = /^ActiveState=(.*)$/m.exec(text) ?? [];
    if (active === 'failed') return 'failed';
    return active === 'inactive' ? 'stopped' : 'running';
  }

  async start(timeoutMs: number): Promise<void> {
    await this.run('systemctl', ['reset-failed', this.unit]);
    await runWell(this.run, `The start of ${this.unit}`, 'systemctl', ['start', this.unit], timeoutMs);
  }

  async stop(timeoutMs: number): Promise<void> {
    const stopped =
      timeoutMs > 0 &&
      (await this.run('systemctl', ['stop', this.unit], timeoutMs).then(
        ({ code }) => code === 0,
        () => false,
      ));
    if (!stopped) {
      await this.run('systemctl', ['kill', '--signal=SIGKILL', this.unit]).catch(() => undefined);
      await runWell(this.run, `The stop of ${this.unit}`, 'systemctl', ['stop', this.unit], KILLED_WAIT_MS);
    }
    await this.run('systemctl', ['reset-failed', this.unit]);
  }
}

export class ProgramService implements AppService {
  private readonly programs: { readonly start: string; readonly stop: string | null };
  private readonly group: ControlGroup;
  private readonly run: RunProgram;
  private readonly clock: Clock;

  constructor(programs: { readonly start: string; readonly stop: string | null }, group: ControlGroup, run: RunProgram, clock: Clock) {
    this.programs = programs;
    this.group = group;
    this.run = run;
    this.clock = clock;
  }

  state(): Promise<'stopped' | 'running'> {
    return Promise.resolve(this.group.pids.length > 0 ? 'running' : 'stopped');
  }

  async start(): Promise<void> {
    const { start } = this.programs;
    checkProgram(start);
    this.group.make();
    const child = spawn('/bin/sh', ['-c', ENTER, this.group.path, start], { stdio: 'ignore', detached: true, cwd: '/' });
    await new Promise<void>((resolve, reject) => {
      child.on('spawn', resolve);
      child.on('error', (error) => reject(new RsError('E_SYSTEM', `${start} cannot be started: ${error.message}`)));
    });
    child.unref();
    // The shell enters the group at once; until then, the service would count as ended.
    for (let waitedMs = 0; this.group.pids.length === 0 && child.exitCode === null && waitedMs < KILLED_WAIT_MS; waitedMs += KILL_LOOK_MS)
      await this.pause();
  }

  async stop(timeoutMs: number): Promise<void> {
    const { stop } = this.programs;
    if (timeoutMs > 0 && this.group.pids.length > 0) {
      if (stop !== null && unsafeProgram(stop) === null) await this.run(stop, [], timeoutMs).catch(() => undefined);
      this.group.signal('SIGTERM');
      await this.untilEmpty(timeoutMs);
    }
    this.group.signal('SIGKILL');
    await this.untilEmpty(KILLED_WAIT_MS);
    const left = this.group.pids;
    if (left.length > 0)
      throw new RsError(
        'E_IN_USE',
        `${left.length} killed processes have not ended, such as ${left.slice(0, USERS_NAMED_MAX).join(', ')}: they wait for I/O`,
      );
    this.group.remove();
  }

  private async untilEmpty(timeoutMs: number): Promise<void> {
    for (let waitedMs = 0; this.group.pids.length > 0 && waitedMs < timeoutMs; waitedMs += KILL_LOOK_MS) await this.pause();
  }

  private pause(): Promise<void> {
    return sleep(this.clock, KILL_LOOK_MS);
  }
}

/** Throws E_CONFIG if another user could have written the program. */
export function checkProgram(program: string): void {
  const why = unsafeProgram(program);
  if (why !== null) throw new RsError('E_CONFIG', `Program ${program} ${why}`);
}

/** Returns the states of a unit as lines. Throws E_SYSTEM with a remedy if this machine has no systemd. */
export async function shownUnit(run: RunProgram, unit: string): Promise<string> {
  const what = ['show', '--property=ActiveState,LoadState', unit];
  const { code, stdout, stderr } = await run('systemctl', what).catch((thrown: unknown) => {
    if (toRsError(thrown).code === 'E_SYSTEM') throw noSystemd();
    throw thrown;
  });
  if (code === 0) return stdout;
  if (NO_SYSTEMD.test(stderr)) throw noSystemd();
  const said = stderr.trim().split('\n').at(-1) ?? '';
  throw new RsError('E_SYSTEM', `The state of ${unit} failed: systemctl ended with ${code}${said === '' ? '' : ` (${said})`}`);
}

function noSystemd(): RsError {
  return new RsError('E_SYSTEM', 'systemd does not answer on this machine: use start = PROGRAM instead of service');
}

/** True if systemd is stopping the machine, and not only rsapp. */
export async function isMachineEnding(run: RunProgram): Promise<boolean> {
  const { stdout } = await run('systemctl', ['is-system-running']).catch(() => ({ stdout: '' }));
  return stdout.trim() === 'stopping';
}

/** Runs the check of an application. Returns why the service is not well; null if it is. */
export async function failedCheck(check: string, run: RunProgram, timeoutMs: number): Promise<string | null> {
  try {
    checkProgram(check);
    const { code, stderr } = await run(check, [], timeoutMs);
    const said = stderr.trim().split('\n').at(-1) ?? '';
    return code === 0 ? null : `Its check ended with ${code}${said === '' ? '' : `: ${said}`}`;
  } catch (thrown) {
    return `Its check failed: ${(thrown as Error).message}`;
  }
}
