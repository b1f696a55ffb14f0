// The page of pictures.

import { start } from './shell.js';
import { UploadPanel } from './upload-list.js';
import { html } from './vendor/preact.js';

function Pictures({ session }) {
    return html`<${UploadPanel} session=${session} />`;
}

start({ path: '/ui/', title: 'pictures.title', Content: Pictures });
