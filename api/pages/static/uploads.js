// Sends files by Uppy, and follows each until its picture is completed or rejected.

import { call, Problem } from './api.js';
import { settled } from './events.js';
import { limit } from './format.js';
import { reasonOf } from './reasons.js';
import { identity, isUnderWay, isUnsent, newRow } from './rows.js';
import { startSender } from './sender.js';
import { ticketFor } from './tickets.js';
import { signal } from './vendor/preact.js';
import { t } from './words.js';

/** The uploads of a page. `say` lets screen readers say a sentence. */
export class Uploads {
    constructor(session, say) {
        this.rows = signal([]);
        this.session = session;
        this.say = say;
        this.byFile = new Map();
        this.uppy = null;
        this.starting = null;
        addEventListener('online', () => this.againAll((state) => state.offline));
        addEventListener('beforeunload', (event) => {
            if (this.rows.value.some(isUnsent)) {
                event.preventDefault();
            }
        });
    }

    /** Start Uppy, once. Throws an error if it cannot be loaded. */
    async ready() {
        const of = (act) => (fileId, ...more) => act.call(this, this.byFile.get(fileId), ...more);
        this.starting ??= startSender({
            sign: of(this.sign),
            progress: of(this.progress),
            success: of(this.sent),
            error: of(this.failed),
        });
        try {
            this.uppy = await this.starting;
        } catch (error) {
            this.starting = null;
            throw error;
        }
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

    async begin(row) {
        const most = this.session.limits.uploadBytes;
        row.state.value = { kind: 'waiting' };
        if (row.file.size > most) {
            row.canSend = false;
            this.fail(row, { reason: t('reason.tooLarge', { size: limit(most) }) });
            return;
        }
        try {
            await this.ready();
        } catch {
            this.fail(row, { reason: t('reason.network'), offline: true });
            return;
        }
        if (row.cancelled) {
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

    progress(row, share) {
        if (row?.state.value.kind === 'sending') {
            row.state.value = { kind: 'sending', share };
        }
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
        if (this.uppy?.getFile(row.fileId)) {
            this.uppy.removeFile(row.fileId);
        }
    }
}
