// Checks what applications need on this machine, before one is started: programs, units, control groups and folders for mounts. Invariant:
// nothing is changed, and nothing is started except systemctl show.

import { statSync } from 'node:fs';
import type { ApplicationConfig } from '@rsio/common/config/schema/types';
import { unsafeProgram } from '@rsio/base/files/safe-program';
import { toRsError } from '@rsio/base/lib/errors';
import type { MachinePorts } from './machine.ts';
import type { Mounts } from './mounts.ts';
import type { RunProgram } from './programs.ts';
import { shownUnit } from './service.ts';

export interface PreflightPorts extends Pick<MachinePorts, 'groups' | 'run'> {
  mountsOf(app: ApplicationConfig): Pick<Mounts, 'deviceAt' | 'isMounted'>;
}

export interface Found {
  /** Reasons why an application cannot start here. */
  readonly errors: string[];
  readonly warnings: string[];
}

export async function preflight(apps: readonly ApplicationConfig[], ports: PreflightPorts): Promise<Found> {
  const [errors, warnings]: [string[], string[]] = [[], []];
  for (const app of apps) {
    const found = { errors: programErrors(app, ports.groups), warnings: [] as string[] };
    await lookAtUnit(app, ports.run, found);
    await lookAtMounts(app, ports.mountsOf(app), found);
    errors.push(...found.errors.map((sentence) => `Application ${app.name}: ${sentence}`));
    warnings.push(...found.warnings.map((sentence) => `Application ${app.name}: ${sentence}`));
  }
  return { errors, warnings };
}

function programErrors({ service, check }: ApplicationConfig, groups: string | null): string[] {
  const { start, stop } = service.kind === 'programs' ? service : { start: null, stop: null };
  const errors = Object.entries({ start, stop, check }).flatMap(([key, program]) => {
    const why = program === null ? null : unsafeProgram(program);
    return why === null ? [] : [`${key} = ${program} ${why}`];
  });
  const needsGroup = service.kind === 'programs' && groups === null;
  return needsGroup ? [...errors, 'start needs control groups of version 2, which this machine does not have'] : errors;
}

async function lookAtUnit({ service }: ApplicationConfig, run: RunProgram, { errors, warnings }: Found): Promise<void> {
  if (service.kind !== 'unit') return;
  try {
    const text = await shownUnit(run, service.unit);
    if (/^LoadState=not-found$/m.test(text)) warnings.push(`systemd does not know ${service.unit}: install it before the first start`);
  } catch (thrown) {
    errors.push(toRsError(thrown).message);
  }
}

async function lookAtMounts(
  { mounts }: ApplicationConfig,
  machine: Pick<Mounts, 'deviceAt' | 'isMounted'>,
  { errors, warnings }: Found,
): Promise<void> {
  for (const { path } of mounts) {
    const isFolder = statSync(path, { throwIfNoEntry: false })?.isDirectory();
    if (isFolder === undefined) warnings.push(`folder ${path} does not exist: rsapp makes it`);
    else if (!isFolder) errors.push(`${path} is no folder: name another path in mounts`);
    else if ((await machine.deviceAt(path)) !== null && !(await machine.isMounted(path)))
      warnings.push(`something is mounted at ${path} already: umount ${path}`);
  }
}
