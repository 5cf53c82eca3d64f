// Tests which pairs of interfaces come from the file and which from a server's own list, and which interfaces have no pair. The file is the
// sample file of the manual, with parts removed.

import { parseRscltConfig } from '@rsio/common/config/reader/rscltcfg';
import { describe, expect, test } from 'vitest';
import { card, CONFIG_FILE, pathFacts, report, SAMPLE } from '../../testing/facts.ts';
import type { PathFacts } from './facts.ts';
import { configuredPairs, learnedPairs, localsOf, type Pairs } from './pairs.ts';

const MACHINE = [card('eth0', '192.168.45.20'), card('eth1', '192.168.46.20')];
const LISTED = [45, 46, 47].map((subnet, index) => ({ name: `if${index + 1}`, address: `192.168.${subnet}.10`, port: 5000 }));
const SECOND = '\n[server big-9-2]\naddress       = 192.168.46.10\n';

/** Returns the facts about the first path, whose server has listed `interfaces`. */
function met(interfaces = LISTED): PathFacts {
  return pathFacts(0, { report: report({ server: { ...report().server!, interfaces } }) });
}

function shown({ pairs, leftOut }: Pairs): string[] {
  return [
    ...pairs.map(({ local, remote, port }) => `${local.name} -> ${remote.name} ${remote.address}/${port}`),
    ...leftOut.map(({ type, object }) => `left out: ${type} ${object}`),
  ];
}

function of(text: string, tried: readonly PathFacts[]) {
  const config = parseRscltConfig(text, CONFIG_FILE);
  const locals = localsOf(config, MACHINE);
  return { configured: shown(configuredPairs(config, locals)), learned: shown(learnedPairs(config, locals, tried)) };
}

test('the file names all interfaces but one, which is left out because no subnet is common', () => {
  expect(of(SAMPLE, [met(), pathFacts(1)])).toEqual({
    configured: ['if0 -> big-9-1 192.168.45.10/5000', 'if1 -> big-9-2 192.168.46.10/5000'],
    learned: ['left out: learned big-9-if3'],
  });
});

describe('the file names one interface of the server', () => {
  const one = SAMPLE.replace(SECOND, '');

  test('the server lists the other interface', () => {
    expect(of(one, [met()])).toEqual({
      configured: ['if0 -> big-9-1 192.168.45.10/5000', 'left out: interface if1'],
      learned: ['if1 -> big-9-if2 192.168.46.10/5000', 'left out: learned big-9-if3'],
    });
  });

  test('but not with paths = configured, nor if the server has not proved its identity', () => {
    expect(of(one.replace('namespaceid', 'paths         = configured\nnamespaceid'), [met()]).learned).toEqual([]);
    const unproved = pathFacts(0, { report: report({ server: { ...report().server!, isProved: false, interfaces: LISTED } }) });
    expect(of(one, [unproved]).learned).toEqual([]);
  });

  test('with paths = all every interface is tried to it', () => {
    const all = of(one.replace('namespaceid', 'paths         = all\nnamespaceid'), [met(LISTED.slice(0, 2))]);
    expect(all.learned).toEqual(['if0 -> big-9-if2 192.168.46.10/5000', 'if1 -> big-9-if2 192.168.46.10/5000']);
  });
});

test('two paths to one server add its interfaces once', () => {
  const again = pathFacts(1, { address: '192.168.45.10', report: met().report });
  expect(of(SAMPLE.replace(SECOND, ''), [met(), again]).learned).toEqual([
    'if1 -> big-9-if2 192.168.46.10/5000',
    'left out: learned big-9-if3',
  ]);
});
