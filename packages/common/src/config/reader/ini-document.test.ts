// Tests the sections, entries and line numbers that a document has for a text, and that each edit of ini-edit.ts changes only the lines
// that it must change. test/fuzz/targets/files/ini-document.ts tests arbitrary texts: a document prints byte for byte, and edits keep all
// other lines.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type IniDocument, parseIni, printIni } from './ini-document.ts';
import { appendLine, appendSection, removeEntry, setValue } from './ini-edit.ts';

/** Texts that look like configuration files, and some texts that do not. */
const iniText = fc
  .array(
    fc.tuple(
      fc.oneof(
        fc.constantFrom(
          '',
          '  ',
          '# note',
          '; note',
          '[server a]',
          '[a',
          '[]',
          '[x] y',
          'port = 1',
          '\tport=',
          '=',
          'big-2 0x=;#',
          '\ufeff[b]',
        ),
        fc.string(),
        fc.string({ unit: fc.constantFrom('[', ']', '=', ' ', '\t', '\r', '#', ';', 'a') }),
      ),
      fc.constantFrom('\n', '\r\n', '\r', ''),
    ),
  )
  .map((lines) => lines.map((line) => line.join('')).join(''));

test('Line numbers are those of the lines', () => {
  fc.assert(
    fc.property(iniText, (text) => {
      const document = parseIni(text);
      for (const section of document.sections) {
        expect(document.lines[section.line - 1]?.raw.trim().startsWith('[')).toBe(true);
        for (const content of section.contents) expect(document.lines[content.line - 1]?.raw.trim()).toBe(content.text);
      }
    }),
  );
});

describe('parseIni', () => {
  test('keeps sections with the same header apart, in order', () => {
    const { sections } = parseIni('[server a]\nport = 1\n[server b]\n[server a]\nport = 2\n');
    expect(sections.map(({ type, name, line }) => [type, name, line])).toEqual([
      ['server', 'a', 1],
      ['server', 'b', 3],
      ['server', 'a', 4],
    ]);
    expect(sections[2]?.contents).toEqual([{ line: 5, text: 'port = 2', key: 'port', value: '2' }]);
  });

  test('keeps names with dots whole', () => {
    expect(parseIni('[volume a.b.c]').sections[0]?.name).toBe('a.b.c');
  });

  test('keeps bare lines raw, with = ; and # in them', () => {
    const { sections } = parseIni('[clients]\r\nbig-2\t 0x;a=b#c == \r\n  ; not this\r\n # nor this\r\nvenus 0xvenus');
    expect(sections[0]?.contents.map(({ text, line }) => [text, line])).toEqual([
      ['big-2\t 0x;a=b#c ==', 2],
      ['venus 0xvenus', 5],
    ]);
  });

  test('reads CRLF, a byte order mark and a missing final newline', () => {
    const { sections, lines } = parseIni('\ufeff[defaults]\r\nport=1\r\nstall = fail');
    expect(sections[0]?.type).toBe('defaults');
    expect(sections[0]?.contents.map(({ key, value }) => [key, value])).toEqual([
      ['port', '1'],
      ['stall', 'fail'],
    ]);
    expect(lines.map(({ end }) => end)).toEqual(['\r\n', '\r\n', '']);
  });

  test.each([
    ['[namespace osl', 'unclosed', 'namespace', 'osl'],
    ['[namespace osl] # mine', 'trailing', 'namespace', 'osl'],
    ['[ ]', 'empty', '', null],
  ])('notes the fault of %j and begins a section all the same', (text, fault, type, name) => {
    expect(parseIni(`[a]\n${text}\nx = 1\n`).sections[1]).toMatchObject({ fault, type, name, line: 2, contents: [{ key: 'x' }] });
  });

  test('keeps the text above the first section', () => {
    expect(parseIni('# c\nport = 1\n[a]\n').preamble).toEqual([{ line: 2, text: 'port = 1', key: 'port', value: '1' }]);
  });
});

const SAMPLE = [
  '# the client\r\n',
  '[defaults]\r\n',
  'port          = 5000  \r\n',
  '\r\n',
  '; first cable\r\n',
  '[interface if0]\r\n',
  'address       = 192.168.45.20\r\n',
  '\r\n',
  '# second cable\r\n',
  '[interface if1]\r\n',
  'address=192.168.46.20',
];

function changed(document: IniDocument): string[] {
  return printIni(document).split(/(?<=\n)/);
}

describe('editing', () => {
  const document = parseIni(SAMPLE.join(''));

  test('replaces only the characters of the value', () => {
    const expected = SAMPLE.with(2, 'port          = 6000  \r\n');
    expect(changed(setValue(document, 0, 'port', '6000'))).toEqual(expected);
    expect(changed(setValue(document, 2, 'address', '::1'))).toEqual(SAMPLE.with(10, 'address=::1'));
  });

  test('fills an empty value', () => {
    expect(printIni(setValue(parseIni('[a]\nx =\ny=  \n'), 0, 'x', '1'))).toBe('[a]\nx = 1\ny=  \n');
    expect(printIni(setValue(parseIni('[a]\nx =\ny=  \n'), 0, 'y', '1'))).toBe('[a]\nx =\ny=  1\n');
  });

  test('adds a missing key below the last entry, in its style and with the line end of the file', () => {
    expect(changed(setValue(document, 1, 'port', '1'))).toEqual(SAMPLE.toSpliced(7, 0, 'port          = 1\r\n'));
  });

  test('adds below a last line without newline, and leaves the file without', () => {
    expect(changed(setValue(document, 2, 'port', '1'))).toEqual([...SAMPLE.slice(0, 10), 'address=192.168.46.20\r\n', 'port   =1']);
  });

  test('removes an entry with its line', () => {
    expect(changed(removeEntry(document, 0, 'port'))).toEqual(SAMPLE.toSpliced(2, 1));
    expect(removeEntry(document, 0, 'stall')).toBe(document);
  });

  test('a section after a last line that ends with a bare carriage return is parsed as text', () => {
    const added = appendSection(parseIni('[a]\r'), 'b', null, []);
    expect(added).toEqual(parseIni(printIni(added)));
  });

  test('removes an entry at the end of a file without final newline, and leaves no extra line behind', () => {
    const removed = removeEntry(parseIni('[a]\n\nport = 1'), 0, 'port');
    expect(removed).toEqual(parseIni('[a]\n'));
  });

  test('appends a section at the end, one empty line apart', () => {
    expect(printIni(appendSection(parseIni('[a]\nx  = 1\n'), 'server', 'b', [['port', '5']]))).toBe(
      '[a]\nx  = 1\n\n[server b]\nport = 5\n',
    );
    expect(
      printIni(
        appendSection(parseIni(''), 'server', 'b', [
          ['address', '::1'],
          ['port', '5'],
        ]),
      ),
    ).toBe('[server b]\naddress = ::1\nport    = 5\n');
  });

  test('inserts a section below another; the comment above the next section stays with that one', () => {
    const block = ['\r\n', '[interface if9]\r\n', 'address       = ::9\r\n'];
    const spaced = parseIni(SAMPLE.with(10, 'address       = ::1').join(''));
    const expected = SAMPLE.with(10, 'address       = ::1').toSpliced(7, 0, ...block);
    expect(changed(appendSection(spaced, 'interface', 'if9', [['address', '::9']], { after: 1 }))).toEqual(expected);
  });

  test('appends a client line', () => {
    expect(printIni(appendLine(parseIni('[clients]\na 0xa\n\n[b]\n'), 0, 'b 0x=;#'))).toBe('[clients]\na 0xa\nb 0x=;#\n\n[b]\n');
  });

  test('refuses a change of the structure', () => {
    for (const value of ['a\nb', 'a\r', ' a', 'a ']) expect(() => setValue(document, 0, 'port', value)).toThrow(/Wrong value/);
    for (const key of ['', 'a=b', '#a', ';a', '[a', 'a\n', ' a']) expect(() => setValue(document, 0, key, '1')).toThrow(/Wrong key/);
    for (const line of ['', '# a', '[a]', 'a\nb']) expect(() => appendLine(document, 0, line)).toThrow(/not content/);
    for (const name of ['a]', 'a\n[b]', '', ' a'])
      expect(() => appendSection(document, 'server', name, [])).toThrow(/Wrong section header/);
  });

  test('does not show a refused value, which may be a key', () => {
    expect(() => setValue(document, 0, 'nodekey', 'secret\n')).toThrow(/^(?!.*secret)/s);
  });
});
