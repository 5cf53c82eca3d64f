// Runs a real bash with the completion of one program, in a separate folder. A stand-in for the program prints the lists that the
// completion asks for. Files that the completion creates by mistake appear in the folder.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { removeFolder } from './remove-folder.ts';

const BASH_MS = 10_000;

export class CompletionShell {
  readonly root = mkdtempSync(join(tmpdir(), 'rsio-'));
  private readonly program: string;
  private readonly script: string;

  /** `answers`: branches of a shell's case statement about the arguments of the program. */
  constructor(program: string, script: string, answers: readonly string[]) {
    this.program = program;
    this.script = script;
    const text = `#!/bin/bash\ncase "$*" in\n${answers.join('\n')}\nesac\n`;
    writeFileSync(join(this.root, program), text, { mode: 0o755 });
  }

  /** Returns the completions of the last word. */
  offered(...words: readonly string[]): string[] {
    const line = [join(this.root, this.program), '--root', this.root, ...words];
    const script = `${this.script}
    COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _${this.program}; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout, stderr, status } = spawnSync('bash', ['--norc', '-euc', script, 'bash', ...line], {
      cwd: this.root,
      encoding: 'utf8',
      timeout: BASH_MS,
    });
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
    return stdout.split('\n').filter((each) => each !== '');
  }

  /** Returns the names of the files in the folder of the shell. */
  files(): string[] {
    return readdirSync(this.root).toSorted();
  }

  end(): Promise<void> {
    return removeFolder(this.root);
  }
}
