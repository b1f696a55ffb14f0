// The texts of the playground, but for those of parts that are loaded later.

import { define } from './words.js';

define({
    'play.failed': 'Not possible: {reason}',
    'play.wrong': '{option}: {detail}',
    'play.unreachable':
        'The picture cannot be fetched from {origin}. Is delivery running, and does SAFELIGHT_PICTURE_CORS_ORIGINS allow this page?',
    'play.change': '{name}: choose another',
    'play.choosePicture': 'Choose a picture',
    'play.what': 'Options',
    'play.preview': 'Preview',
    'play.noReference': 'No reference: {reason}',
    'play.swap': 'Swap with the previous result (x)',
    'play.swapKey': 'Swap with the previous result',
    'play.rendering': 'Rendering',
    'play.waiting': 'The server asks to wait: continues in {n} s',
    'play.off': 'Off: {reason}. Set it for the API and for delivery, to the same value.',
});
