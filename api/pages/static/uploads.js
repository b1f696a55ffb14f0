// Sends files by Uppy, and follows each until its picture is completed or rejected.

import { call, Problem } from './api.js';
import { settled } from './events.js';
import { limit } from './format.js';
import { identity, isUnderWay, isUnsent, newRow } from './rows.js';
import { ticketFor } from './tickets.js';
import { signal } from './vendor/preact.js';
import { AwsS3, Uppy } from './vendor/uppy.js';
import { t } from './words.js';

const SILENT = { debug() {}, warn() {}, error() {} }; // rows show every error

/** The uploads of a page. `say` lets screen readers say a sentence. */
export class Uploads {
    constructor(session, say) {
        this.rows = signal([]);
        this.session = session;
        this.say = say;
        this.byFile = new Map();
        this.uppy = new Uppy({ autoProceed: true, logger: SILENT }).use(AwsS3, {
            shouldUseMultipart: false,
            generateObjectKey: (file) => file.id,
            signRequest: ({ key }) => this.sign(this.byFile.get(key)),
        });
        this.uppy.on('upload-progress', (file, { bytesUploaded, bytesTotal }) => {
            const row = this.byFile.get(file.id);
            if (row?.state.value.kind === 'sending') {
                row.state.value = { kind: 'sending', share: (100 * bytesUploaded) / bytesTotal };
            }
        });
        this.uppy.on('upload-success', (file) => this.sent(this.byFile.get(file.id)));
        this.uppy.on('upload-error', (file, error) => this.failed(this.byFile.get(file.id), error));
        addEventListener('online', () => this.againAll((state) => state.offline));
        addEventListener('beforeunload', (event) => {
            if (this.rows.value.some(isUnsent)) {
                event.preventDefault();
            }
        });
    }

    /** Add files with tags. A file that is under way is not added again. */
    add(files, tags) {
        const known = new Set(this.rows.value.filter((row) => row.canSend).map((row) => identity(row.file)));
        const added = [];
        for (const file of files) {
            if (known.has(identity(file))) {
                this.say(t('said.twice', { name: file.name }));
            } else {
                known.add(identity(file));
                added.push(newRow(file, tags));
            }
        }
        if (!added.length) {
            return;
        }
        this.rows.value = [...added, ...this.rows.value];
        this.say(t('said.added', { n: added.length }));
        added.forEach((row) => this.begin(row));
    }

    begin(row) {
        const most = this.session.limits.uploadBytes;
        row.state.value = { kind: 'waiting' };
        if (row.file.size > most) {
            row.canSend = false;
            this.fail(row, { reason: t('reason.tooLarge', { size: limit(most) }) });
            return;
        }
        const { name, type } = row.file;
        // The path makes Uppy's id unique, which else is made of name, type, size and date.
        row.fileId = this.uppy.addFile({ name, type, data: row.file, meta: { relativePath: row.key } });
        this.byFile.set(row.fileId, row);
    }

    /** Get the form for a row. The key makes every request of a row mean the same image. */
    async sign(row) {
        row.state.value = { kind: 'sending', share: 0 };
        const { imageId, url, fields } = await ticketFor(row);
        row.imageId = imageId;
        if (row.cancelled) {
            this.erase(row);
            throw new DOMException('', 'AbortError');
        }
        row.state.value = { kind: 'sending', share: 0 };
        return { url, fields };
    }

    async sent(row) {
        if (!row) {
            return;
        }
        row.canSend = false;
        row.state.value = { kind: 'rendering' };
        setTimeout(() => this.forget(row)); // Uppy first finishes its own work with the file
        const { name } = row.file;
        try {
            const image = await settled(row.imageId);
            const reason = image.detail;
            row.state.value = { kind: image.status, image, reason };
            this.say(image.status === 'completed' ? t('said.completed', { name }) : t('said.rejected', { name, reason }));
        } catch (error) {
            row.state.value = { kind: 'lost', reason: error.message };
        }
    }

    failed(row, error) {
        if (!row || row.cancelled) {
            return;
        }
        if (error.document?.type === '/problems/already_settled') {
            this.sent(row); // only the answer to the upload was lost
            return;
        }
        if (error.status === 403 && !(error instanceof Problem) && !row.renewed) {
            row.renewed = true; // the form had expired: a new one is for the same image
            setTimeout(() => this.sendAgain(row));
            return;
        }
        setTimeout(() => this.forget(row)); // else Uppy sends it again when files are added
        // What the API refuses once, it refuses again.
        row.canSend = !(error instanceof Problem) || error.passes || error.status === 401;
        this.fail(row, { reason: reasonOf(error, row.file), offline: !error.status });
    }

    fail(row, state) {
        row.state.value = { kind: 'failed', ...state };
        this.say(t('said.failed', { name: row.file.name, reason: state.reason }));
    }

    /** Send a row again that failed. */
    again(row) {
        row.renewed = false;
        this.sendAgain(row);
    }

    againAll(wanted = (_) => true) {
        const failed = this.rows.value.filter(({ canSend, state }) => canSend && state.value.kind === 'failed');
        failed.filter((row) => wanted(row.state.value)).forEach((row) => this.again(row));
    }

    sendAgain(row) {
        this.forget(row);
        this.begin(row);
    }

    /** Stop sending a row, and forget its image. */
    cancel(row) {
        row.cancelled = true;
        this.forget(row);
        this.rows.value = this.rows.value.filter((one) => one !== row);
        this.erase(row);
        this.say(t('said.cancelled', { name: row.file.name }));
    }

    /** Take finished rows off the list. What was not sent is forgotten with them. */
    hideFinished() {
        const finished = this.rows.value.filter((row) => !isUnderWay(row));
        finished.forEach((row) => this.forget(row));
        this.rows.value = this.rows.value.filter(isUnderWay);
    }

    /** Erase the pending image, where the server can: it would stay for 30 days. */
    erase({ imageId }) {
        if (imageId && this.session.can.erase) {
            call(`/v1/images/${imageId}`, { method: 'DELETE' }).catch(() => {});
        }
    }

    forget(row) {
        this.byFile.delete(row.fileId);
        if (this.uppy.getFile(row.fileId)) {
            this.uppy.removeFile(row.fileId);
        }
    }
}

function reasonOf(error, { type }) {
    if (!error.status) {
        return t('reason.network');
    }
    if (!(error instanceof Problem)) {
        return t('reason.storage', { n: error.status });
    }
    return error.document.errors?.[0]?.pointer === '#/contentType' ? t('reason.type', { type }) : error.message;
}
