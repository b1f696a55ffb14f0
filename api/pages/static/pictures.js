// The page of pictures: uploads and the library, or one picture.

import { Gallery } from './gallery.js';
import { lazy, whenIdle } from './lazy.js';
import { Listing } from './listing.js';
import { loadPresets } from './presets.js';
import { route } from './route.js';
import { start } from './shell.js';
import { UploadPanel } from './upload-list.js';
import { html, useEffect, useMemo } from './vendor/preact.js';
import './words-pictures.js';

const detail = () => import('./detail.js');
const PictureDialog = lazy(detail, 'PictureDialog');
const PicturePage = lazy(detail, 'PicturePage');

function Pictures({ session }) {
    const { imageId, over } = route.value;
    const listing = useMemo(() => new Listing(), []);
    useEffect(() => {
        loadPresets();
        whenIdle(() => detail().catch(() => {})); // opening a picture shows the failure
    }, []);
    if (imageId && !over) {
        return html`<${PicturePage} session=${session} />`;
    }
    return html`<${UploadPanel} session=${session} />
        <${Gallery} session=${session} listing=${listing} />
        ${imageId && html`<${PictureDialog} session=${session} listing=${listing} />`}`;
}

start({ path: '/ui/', title: 'pictures.title', Content: Pictures });
