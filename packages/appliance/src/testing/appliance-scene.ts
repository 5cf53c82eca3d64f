// Gives each test of the appliance a machine: a folder as its root, and programs that only note their command lines. Invariant: no program
// runs, and the folder is removed after the test.

import { mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach } from 'vitest';
import type { ApplianceMachine, RunOnMachine } from '../machine.ts';
import { RsError } from '@rsio/base/lib/errors';
import { removeFolder } from '@rsio/base/testing/remove-folder';

export class ApplianceScene implements ApplianceMachine {
  root = '';
  /** Command lines of the programs that were run. */
  programs: string[] = [];
  /** Part of the command line of a program that fails. */
  failing: string | null = null;
  /** Returns the output of a program. */
  output: (program: string, args: readonly string[]) => string = () => '';

  readonly run: RunOnMachine = (program, args) => {
    const line = [program, ...args].join(' ');
    this.programs.push(line);
    if (this.failing !== null && line.includes(this.failing)) return Promise.reject(new RsError('E_SYSTEM', `${program} failed`));
    return Promise.resolve(this.output(program, args));
  };
}

/** `folders`: the folders that the root has at the beginning of each test. */
export function useApplianceScene(...folders: readonly string[]): ApplianceScene {
  const scene = new ApplianceScene();
  beforeEach(() => {
    scene.root = mkdtempSync(join(tmpdir(), 'rsio-ap-'));
    for (const folder of folders) mkdirSync(`${scene.root}/${folder}`, { recursive: true });
    [scene.programs, scene.failing, scene.output] = [[], null, () => ''];
  });
  afterEach(() => removeFolder(scene.root));
  return scene;
}
