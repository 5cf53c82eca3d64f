// Where fio finds the volume of a client: the NBD socket, and where there can be devices the raw and the block device; and one fio run there with
// the processor time that rsiod took for it. Leaves attaching to the sections.

import { type FioRun, type FioSide, onlySide, runFio } from '@rsio/test/support/fio-figures';
import { cpuSecondsBetween, cpuTimeOf } from '../proc.ts';

export interface Door {
  readonly title: string;
  /** What fio is run by: devices are seen where the client's mounts are. */
  readonly command: readonly string[];
  readonly where: readonly string[];
}

export interface DoorFigures extends FioSide {
  /** Of the processes that were given. */
  readonly cpuSeconds: number;
}

export function nbdDoor(title: string, uri: string): Door {
  return { title, command: [], where: ['--ioengine=nbd', `--uri=${uri}`] };
}

export function deviceDoor(title: string, command: readonly string[], device: string): Door {
  return { title, command, where: ['--ioengine=libaio', '--direct=1', `--filename=${device}`] };
}

/** Without a ramp, so that what fio moved and what the processes used are of the same time; `pids`: whose time counts. */
export async function runAtDoor({ command, where }: Door, run: Omit<FioRun, 'where'>, pids: readonly number[]): Promise<DoorFigures> {
  const before = cpuTimeOf(pids);
  const side = onlySide(await runFio(command, { ...run, where }));
  return { ...side, cpuSeconds: cpuSecondsBetween(before, cpuTimeOf(pids)) };
}
