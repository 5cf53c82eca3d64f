// Searches the models of the protocol's rules at their smallest bounds. The rules must hold. The search must also find each variant in
// which a rule is dropped, which shows that it can find faults. `npm run models` uses large bounds.

import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { afterAll, expect, it } from 'vitest';
import { needTool } from '../support/programs/programs.ts';
import { compileModel, runModel } from './compiler.ts';
import { RUNS } from './runs.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'rsio-models-'));
const small = RUNS.filter((run) => run.size === 'small');

afterAll(() => removeFolder(folder));

it.for([...new Set(RUNS.map((run) => run.model))])('model %s: the rules hold, and variants break', (model, context) => {
  needTool(context, 'g++', 'g++');
  const program = compileModel(model, folder, '-O0');
  const runs = small.filter((run) => run.model === model);
  expect(new Set(runs.map((run) => run.expected))).toEqual(new Set(['holds', 'breaks']));
  for (const { variant, args, expected } of runs) {
    const { result, output } = runModel(program, variant, args);
    expect(result, `${variant} ${args}: ${output}`).toBe(expected);
  }
  expect(runModel(program, 'constructor', small[0]?.args ?? '').output).toMatch(/^usage: /);
});
