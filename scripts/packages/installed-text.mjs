// Makes the text of a document as a package installs it. Pure. Invariant: every link of the text leads to a place in the text, to a document
// of the same package, or to an address with a scheme; other links become text that names the file of the sources.

import { posix } from 'node:path';

const LINK = /(!?)\[([^\]]*)\]\(([^)\s]+)\)/g;

/** `source`: path of the document in the sources. `files`: maps the sources of the package to their places on the target. */
export function installedText(text, source, files) {
  return text.replace(LINK, (link, image, shown, target) => {
    if (/^(#|[a-z]+:)/.test(target)) return link;
    const [file, anchor] = target.split('#');
    const named = posix.join(posix.dirname(source), file);
    const place = files[named];
    if (place === undefined) return image === '' ? `${shown} (${named} of the sources)` : `*${shown}: ${named} of the sources*`;
    const relative = posix.relative(posix.dirname(files[source]), place);
    return `${image}[${shown}](${relative}${anchor === undefined ? '' : `#${anchor}`})`;
  });
}
