// What rsiod measured on its paths when it was asked to test them.
// Leaves the words of a measurement to report-text.ts.

import type { TestScreen } from '../model/state.ts';
import { type Page, textRow } from './page.ts';

export function testPage({ lines }: TestScreen): Page {
  return {
    title: lines === null ? 'Test paths: measuring ...' : 'Test paths',
    rows: lines === null ? [textRow('rsiod measures one path after the other')] : lines.map((line) => textRow(line)),
    actions: [],
    hint: 'Esc goes back',
    help: {
      title: 'Test paths',
      text: 'Measures every path of the running rsiod with connections of its own, beside what goes over the paths: round trip, rates in both directions, MTU, and the device by which the data really leaves.',
    },
  };
}
