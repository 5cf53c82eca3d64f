// Gives orders about applications to rsapp. Invariant: an order that ends an application here, or moves it away, is given only after a
// question, whose marked answer changes nothing.

import type { AppOrder } from '@rsio/api/rsapp/app-methods';
import { drainDone, orderDone } from '@rsio/api/manage/applications';
import { ask, step } from '../../machine/machine.ts';
import type { ClientCommand } from '../model/state.ts';
import { change } from './rsiod.ts';

/** For each order, the text while crsio waits for the result, and the heading above the reason of a refusal. */
const WORDS: Readonly<Record<AppOrder, readonly [doing: string, not: string]>> = {
  start: ['Starting', 'Not started'],
  stop: ['Stopping', 'Not stopped'],
  move: ['Moving', 'Not moved'],
  enable: ['Enabling', 'Not enabled'],
  disable: ['Disabling', 'Not disabled'],
};

export function giveOrder(name: string, order: AppOrder, to: string | null = null): ClientCommand {
  const [doing, not] = WORDS[order];
  return (state) =>
    change(state, `${doing} ${name} ...`, not, async ({ callApp }) => {
      const { application } = await callApp('app-order', { name, order, to });
      return orderDone(order, application, to);
    });
}

const QUESTIONS = {
  stop: ['Stop', 'ends, and runs nowhere until it is started again, also after reboots'],
  disable: ['Disable', 'ends, and no node starts it until it is enabled'],
} as const;

export function askEnd(name: string, order: keyof typeof QUESTIONS): ClientCommand {
  const [verb, effect] = QUESTIONS[order];
  const answers = [
    [`${verb} ${name}`, giveOrder(name, order)],
    ['Leave it running', null],
  ] as const;
  return (state) => step(ask(state, verb, `${name} ${effect}`, answers, 1));
}

/** `nodes`: the nodes that the user can choose. */
export function askMove(name: string, nodes: readonly string[], next: string | null): ClientCommand {
  const label = (node: string): string => `Move it to ${node}${node === next ? ', which is next' : ''}`;
  const answers = nodes.map((node) => [label(node), giveOrder(name, 'move', node)] as const);
  const text = `${name} ends here, and starts on the other node. Meanwhile, programs cannot use it`;
  return (state) => step(ask(state, `Move ${name}`, text, [...answers, ['Leave it here', null]], answers.length));
}

export const askDrain: ClientCommand = (state) => {
  const answers = [
    ['Drain this node', drain(false)],
    ['Leave it as it is', null],
  ] as const;
  const text =
    'All applications of this node move to other nodes, and it takes none until the end of the drain. One that no other node can take ends';
  return step(ask(state, 'Drain', text, answers, 1));
};

export function drain(end: boolean): ClientCommand {
  const [doing, not] = end ? ['Ending the drain ...', 'Still drained'] : ['Moving all applications away ...', 'Not drained to the end'];
  return (state) =>
    change(state, doing, not, async ({ callApp }) => {
      await callApp('drain', { end });
      return drainDone(end);
    });
}
