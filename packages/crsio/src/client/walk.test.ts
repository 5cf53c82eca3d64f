// Tests whole sessions with keys only, without a terminal: what the user sees, and the resulting file. The ports are scripted
// (testing/walker.ts). The tests in test/tui run the same session in a real terminal.

import { SAMPLE_RSCLTCFG } from '@rsio/common/testing/sample-rscltcfg';
import { RsError } from '@rsio/base/lib/errors';
import { expect, test } from 'vitest';
import { examination, foundServer, probeReport } from '../testing/found-servers.ts';
import { Walker } from '../testing/walker.ts';

const COMMENTED = `# this machine\r\n${SAMPLE_RSCLTCFG.replace('[server big-9-2]', '; the second cable\n[server big-9-2]')}`;

async function addInterface(walker: Walker, address: string): Promise<void> {
  await walker.choose('Add interface');
  await walker.press({ text: address }, 'enter', 'enter');
}

test('the original walk writes the sample of the manual, byte for byte', async () => {
  const walker = new Walker({ servers: [foundServer('192.168.45.10', '192.168.46.10')] });
  walker.world.examine = () => examination(probeReport('if0', '192.168.45.10'), probeReport('if1', '192.168.46.10'));
  await walker.choose('Interfaces');
  await addInterface(walker, '192.168.45.20');
  await addInterface(walker, '192.168.46.20');
  expect(walker.screen()).toContain('* not saved');
  await walker.press('save');
  expect(walker.screen()).toContain('Saved /etc/rscltcfg; rsiod is not running; start it with: rsiod');
  expect(walker.screen()).not.toContain('not saved');
  await walker.press('escape');
  await walker.choose('Add NEW Namespace');
  await walker.press('action');
  await walker.choose('Find NEW Namespace');
  expect(walker.screen()).toMatch(/> osl +200 +big-9 \(1\) +192\.168\.45\.10 +0\.21 ms/);
  await walker.press('enter', { text: 'big-2' }, 'enter', { text: '0xbig-2' });
  expect(walker.screen(), 'a key is hidden').not.toContain('0xbig-2');
  await walker.press('show');
  expect(walker.screen()).toContain('0xbig-2');
  await walker.press('action');
  await walker.choose('Find New Namespace Servers');
  expect(walker.screen()).toMatch(/192\.168\.46\.10 +added as big-9-2/);
  await walker.press('save');
  expect(walker.question(), 'it may be started now').toContain('Start it now');
  await walker.press('escape', 'escape');
  expect(walker.screen()).toMatch(/big-9-1 +192\.168\.45\.10/);
  expect(walker.world.file).toBe(SAMPLE_RSCLTCFG);
  await walker.press('leave');
  expect(walker.hasLeft).toBe(true);
});

test('unusable interfaces are listed with their reason, and existing sections stay', async () => {
  const walker = new Walker({ file: SAMPLE_RSCLTCFG, servers: [foundServer('192.168.45.10', '192.168.47.10', '10.9.9.1')] });
  const leftOut = {
    local: null,
    remote: { name: 'if3', address: '10.9.9.1', port: 5000 },
    reason: 'not on a common subnet with any interface of the client',
  };
  walker.world.examine = () => ({
    reports: [probeReport('if0', '192.168.45.10'), probeReport('if1', '192.168.47.10', 'no answer within 3 s')],
    leftOut: [leftOut],
    findings: [],
  });
  await walker.choose('Namespaces');
  await walker.press('enter', 'action', 'enter');
  const screen = walker.screen();
  expect(screen).toMatch(/192\.168\.45\.10 +already there as big-9-1/);
  expect(screen).toMatch(/192\.168\.47\.10 +left out\s+\|\n\|\s+from if1: no answer within 3 s/);
  expect(screen).toMatch(/10\.9\.9\.1 +left out\s+\|\n\|\s+not on a common subnet with any interface of the client/);
  expect(screen).not.toContain('not saved');
});

test('a server that does not answer exploration is identified over TCP; one that fails is reported', async () => {
  const walker = new Walker({ file: SAMPLE_RSCLTCFG });
  const server = foundServer('192.168.45.10', '192.168.47.10');
  walker.world.ask = (address) =>
    address === '192.168.45.10'
      ? { server }
      : { finding: { kind: 'no-answer', object: address, count: 1, sentence: 'no answer within 3 s', remedy: 'check the cable' } };
  walker.world.examine = () => examination(probeReport('if0', '192.168.45.10'), probeReport('if1', '192.168.47.10'));
  await walker.choose('Namespaces');
  await walker.press('enter', 'action', 'enter');
  expect(walker.screen()).toMatch(/192\.168\.47\.10 +added as big-9-3/);
  expect(walker.words()).toContain('! 192.168.46.10: no answer within 3 s check the cable');
});

test('an abandoned search adds nothing when its answer comes late', async () => {
  const walker = new Walker({ file: SAMPLE_RSCLTCFG, servers: [foundServer('192.168.47.10')] });
  let finish = (): void => {};
  walker.world.examine = () =>
    new Promise((resolve) => {
      finish = () => resolve(examination(probeReport('if0', '192.168.47.10')));
    });
  await walker.choose('Namespaces');
  await walker.press('enter', 'action', 'enter');
  expect(walker.screen()).toContain('Trying the interfaces of big-9 ...');
  await walker.press('escape');
  finish();
  await walker.press('down');
  expect(walker.screen()).toContain('Namespace osl');
  expect(walker.screen()).not.toContain('not saved');
});

test('one change leaves every other byte of the file as the user wrote it', async () => {
  const walker = new Walker({ file: COMMENTED });
  await walker.choose('Interfaces', 'if1');
  await walker.press('down', 'cut-before', { text: '192.168.99.20' }, 'save');
  expect(walker.world.file).toBe(COMMENTED.replace('192.168.46.20', '192.168.99.20'));
});

test('a wrong value is reported while it is typed, and not accepted', async () => {
  const walker = new Walker();
  await walker.choose('Interfaces', 'Add interface');
  expect(walker.screen()).toContain('Allowed: the IPv4 address');
  await walker.press({ text: '192.168.300' });
  expect(walker.screen()).toContain('! Wrong value for address: allowed is the IPv4 address');
  await walker.press('enter', 'enter');
  expect(walker.screen(), 'the form stays, on the wrong field').toMatch(/> address \* +\[192\.168\.300 +\] ! wrong/);
  await walker.press('cut-before', 'enter', 'enter');
  expect(walker.screen()).toContain('! Missing address: needed is the IPv4 address');
});

test('conflicts with other sections are reported too: a name in use', async () => {
  const walker = new Walker({ file: SAMPLE_RSCLTCFG });
  await walker.choose('Interfaces', 'Add interface');
  await walker.press('up', 'cut-before', { text: 'if0' }, 'enter', { text: '192.168.47.20' }, 'enter', 'enter');
  expect(walker.screen()).toMatch(/! Section \[interface if0\] exists.*choose another name/);
  await walker.press('up', 'up', { text: '2' }, 'pagedown', 'enter');
  expect(walker.screen()).toMatch(/if02 +192\.168\.47\.20/);
});

test('... or an address of another interface', async () => {
  const walker = new Walker({ file: SAMPLE_RSCLTCFG });
  await walker.choose('Interfaces', 'Add interface');
  await walker.press({ text: '192.168.45.20' }, 'enter', 'enter');
  expect(walker.words()).toContain('! Duplicate address 192.168.45.20: each interface needs an address of its own');
});

test('... or a key that is too short for encrypted paths, without the number of a line that is not saved', async () => {
  const file = SAMPLE_RSCLTCFG.replace(/^nodekey .*$/m, 'nodekey       = 0123456789abcdef\ntls           = on');
  const walker = new Walker({ file });
  await walker.choose('Namespaces', 'osl', 'Login data');
  await walker.press('down', 'down', 'down', 'cut-before', { text: '0xbig-2' }, 'pagedown', 'enter');
  expect(walker.words()).toContain('! Short nodekey with tls = on: 7 characters can be guessed, use 16 or more');
  expect(walker.world.file).toBe(file);
});

test('F4 offers the addresses of this machine and the values of a setting', async () => {
  const machine = [
    {
      device: 'eth1',
      address: '192.168.46.20',
      prefixLength: 24,
      broadcast: null,
      mtuBytes: 1500,
      linkMbps: 1000,
      hasCarrier: false,
      isLoopback: false,
    },
  ];
  const walker = new Walker({ machine });
  await walker.choose('Interfaces', 'Add interface');
  await walker.press('choose');
  expect(walker.screen()).toContain('> 192.168.46.20  eth1, /24, 1000 Mbit/s, no carrier');
  await walker.press('enter', 'pagedown', 'enter', 'escape');
  await walker.choose('Defaults');
  await walker.press('down', 'down', 'down', 'down', 'choose');
  await walker.choose('nbd-socket');
  await walker.press('save');
  expect(walker.world.file).toContain('[interface if0]\naddress       = 192.168.46.20\n');
  expect(walker.world.file).toContain('port          = 5000\ndevice        = nbd-socket\n');
});

test('a section is removed after a question', async () => {
  const walker = new Walker({ file: SAMPLE_RSCLTCFG });
  await walker.choose('Namespaces');
  await walker.press('remove');
  expect(walker.screen()).toContain('> Keep');
  await walker.press('enter', 'remove');
  await walker.choose('Remove');
  expect(walker.screen()).toContain('Removed namespace osl');
  await walker.press('save');
  expect(walker.world.file).toBe(SAMPLE_RSCLTCFG.slice(0, SAMPLE_RSCLTCFG.indexOf('\n[namespace')));
});

test('leaving with changes asks: stay, discard, save', async () => {
  const walker = new Walker({ file: SAMPLE_RSCLTCFG });
  await walker.choose('Interfaces');
  await addInterface(walker, '192.168.47.20');
  await walker.press('leave');
  expect(walker.screen()).toContain('Your changes are not saved');
  await walker.choose('Stay');
  expect(walker.hasLeft).toBe(false);
  await walker.press('leave');
  await walker.choose('Save and leave');
  expect([walker.hasLeft, walker.world.file?.includes('192.168.47.20')]).toEqual([true, true]);
  const loser = new Walker({ file: SAMPLE_RSCLTCFG });
  await loser.choose('Interfaces');
  await addInterface(loser, '192.168.47.20');
  await loser.press('leave');
  await loser.choose('Leave and discard');
  expect([loser.hasLeft, loser.world.file]).toEqual([true, SAMPLE_RSCLTCFG]);
});

test('a filled form counts as a change, and Esc does not discard it silently', async () => {
  const walker = new Walker({ file: SAMPLE_RSCLTCFG });
  await walker.choose('Interfaces', 'Add interface');
  await walker.press({ text: '192.168.47.20' });
  expect(walker.screen()).toContain('* not saved');
  await walker.press('escape');
  await walker.choose('Continue');
  await walker.press('escape');
  await walker.choose('Discard');
  expect(walker.screen()).not.toContain('not saved');
  expect(walker.screen()).toContain('Add interface');
});

test('a file that another program changed is not overwritten until the difference was shown', async () => {
  const walker = new Walker({ file: SAMPLE_RSCLTCFG });
  await walker.choose('Interfaces');
  await addInterface(walker, '192.168.47.20');
  const theirs = SAMPLE_RSCLTCFG.replace('0xbig-2', '0xother').replace('port          = 5000', 'port          = 5001');
  walker.world.file = theirs;
  await walker.press('save');
  expect(walker.question()).toContain('Another program has changed the file. Nothing was written');
  expect(walker.world.file).toBe(theirs);
  await walker.choose('Show what differs');
  expect(walker.screen()).toMatch(/- port +=? ?.*5001/);
  expect(walker.screen()).toContain('+ [interface if2]');
  expect(walker.screen(), 'keys are not shown').not.toContain('0xother');
  await walker.press('action');
  await walker.choose('Overwrite the file');
  expect(walker.world.file).toBe(SAMPLE_RSCLTCFG.replace('[namespace', '[interface if2]\naddress       = 192.168.47.20\n\n[namespace'));
  expect(walker.screen()).toContain('Interfaces');
});

test('... or is reread', async () => {
  const walker = new Walker({ file: SAMPLE_RSCLTCFG });
  await walker.choose('Interfaces');
  await addInterface(walker, '192.168.47.20');
  walker.world.file = SAMPLE_RSCLTCFG.replace('192.168.46.20', '192.168.48.20');
  await walker.press('save');
  await walker.choose('Reread the file');
  expect(walker.screen()).toContain('Reread /etc/rscltcfg');
  await walker.choose('Interfaces');
  expect(walker.screen()).toContain('192.168.48.20');
  expect(walker.screen()).not.toContain('192.168.47.20');
});

test('a file that was removed meanwhile can be started again, or written again', async () => {
  const walker = new Walker({ file: SAMPLE_RSCLTCFG });
  await walker.choose('Interfaces');
  await addInterface(walker, '192.168.47.20');
  walker.world.file = null;
  await walker.press('save');
  await walker.choose('Reread the file');
  expect(walker.screen()).toContain('File /etc/rscltcfg (new)');
  await walker.press('save');
  expect(walker.world.file).toBe('[defaults]\nprotocol      = tcp\nport          = 5000\n');
});

test('rereading the file asks before changes are lost', async () => {
  const walker = new Walker({ file: SAMPLE_RSCLTCFG });
  await walker.choose('Interfaces');
  await addInterface(walker, '192.168.47.20');
  await walker.press('escape', 'action');
  await walker.choose('Reread the file');
  expect(walker.question()).toBe('Your changes are not saved');
  await walker.press('enter');
  expect(walker.screen()).toContain('* not saved');
  await walker.press('action');
  await walker.choose('Reread the file', 'discard my changes');
  expect(walker.screen()).not.toContain('not saved');
});

test('a refused save keeps the work and shows the reason', async () => {
  const walker = new Walker({ saveError: new RsError('E_RIGHTS', 'No permission to write /etc/rscltcfg: run as root') });
  await walker.choose('Interfaces');
  await addInterface(walker, '192.168.47.20');
  await walker.press('save');
  expect(walker.screen()).toContain('No permission to write /etc/rscltcfg: run as root [E_RIGHTS]');
  await walker.press('enter');
  expect(walker.screen()).toContain('* not saved');
});

test('saving asks a running rsiod to read the file, and shows the reason of a refusal', async () => {
  const walker = new Walker({ file: SAMPLE_RSCLTCFG, daemon: { reload: () => ({ applied: ['interface if2 is new'] }) } });
  await walker.choose('Interfaces');
  await addInterface(walker, '192.168.47.20');
  await walker.press('save');
  expect(walker.screen()).toContain('Saved /etc/rscltcfg; rsiod has applied it, 1 change');
  walker.world.daemon = {};
  await walker.press('save');
  expect(walker.question()).toContain('but rsiod did not apply it: No answer to reload [E_INTERNAL]');
});

test('an exploration behind a router asks for address and namespacekey, and keeps them in the new section', async () => {
  const walker = new Walker({ file: SAMPLE_RSCLTCFG.slice(0, SAMPLE_RSCLTCFG.indexOf('\n[namespace')), servers: [] });
  await walker.choose('Add NEW Namespace');
  await walker.press('action');
  await walker.choose('Find NEW Namespace');
  expect(walker.screen()).toContain('No server answered; use F7 to explore an address');
  walker.world.servers = [foundServer('10.1.1.1')];
  await walker.press('action');
  await walker.choose('Explore an address');
  await walker.press({ text: '10.1.1.1' }, 'enter', { text: '5100' }, 'enter', { text: '0xspace' }, 'enter', 'enter');
  expect(walker.words()).toContain('Asked: 10.1.1.1 and the subnets of the interfaces, port 5100, signed with a namespacekey');
  await walker.choose('osl');
  await walker.press({ text: 'big-2' }, 'enter', { text: '0xbig-2' }, 'save');
  expect(walker.world.file).toContain(
    '[namespace osl]\nnamespaceid   = 200\nnodename      = big-2\nnodekey       = 0xbig-2\nnamespacekey  = 0xspace\nport          = 5100\n',
  );
});

test('without interfaces nothing is explored, and the hint says what to do', async () => {
  const walker = new Walker();
  await walker.press('action', 'enter');
  expect(walker.question()).toContain('No interface to explore from: first add the interfaces of this machine');
});

test('below 80x24 one sentence is shown, and no key changes anything', async () => {
  const walker = new Walker({ file: SAMPLE_RSCLTCFG });
  walker.resize({ columns: 79, rows: 24 });
  expect(walker.screen().trim()).toBe('crsio needs 80x24, this terminal has 79x24: make it larger');
  await walker.press('enter', { text: 'x' }, 'save', 'leave');
  expect(walker.hasLeft, 'leaving unchanged work').toBe(true);
  walker.resize({ columns: 80, rows: 24 });
  expect(walker.screen()).toContain('> Interfaces');
});
