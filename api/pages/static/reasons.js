// Says why a file was not sent.

import { Problem } from './api.js';
import { t } from './words.js';

/** Return the reason for an error of the API, the storage or the network. */
export function reasonOf(error, { type }) {
    if (!error.status) {
        return t('reason.network');
    }
    if (!(error instanceof Problem)) {
        return t('reason.storage', { n: error.status });
    }
    return error.document.errors?.[0]?.pointer === '#/contentType' ? t('reason.type', { type }) : error.message;
}
