// Reads calls of each kind from the output of perf stat: calls of several names are added, and a call that perf could not count is 0. perf
// itself is not run.

import { expect, test } from 'vitest';
import { callsIn } from './syscalls.ts';

const TEXT = `# started on Mon Nov 23 07:12:42 2026

144,,raw_syscalls:sys_enter,1439669,100.00,,
5,,syscalls:sys_enter_epoll_wait,1439669,100.00,,
2,,syscalls:sys_enter_epoll_pwait,1439669,100.00,,
7,,syscalls:sys_enter_read,1439669,100.00,,
3,,syscalls:sys_enter_recvfrom,1439669,100.00,,
<not counted>,,syscalls:sys_enter_writev,0,0.00,,
4,,syscalls:sys_enter_sendmsg,1439669,100.00,,
`;

test('calls of one kind are added, and what was not counted is none', () => {
  expect(callsIn(TEXT)).toEqual({ all: 144, waits: 7, receives: 10, sends: 4, futexes: 0 });
});
