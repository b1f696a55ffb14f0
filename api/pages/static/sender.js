// Loads and starts Uppy, by far the largest module.

const UPPY = './vendor/uppy.js';
const SILENT = { debug() {}, warn() {}, error() {} }; // rows show every error
let loading = null;
let failures = 0;

/** A browser may remember a module that it could not load, so each try has an address of its own. */
async function load() {
    loading ??= import(failures ? `${UPPY}?${failures}` : UPPY);
    try {
        return await loading;
    } catch (error) {
        loading = null;
        failures += 1;
        throw error;
    }
}

/**
 * Return Uppy once it is loaded. Calls after a failure try again.
 * @param {{sign: Function, progress: Function, success: Function, error: Function}} on
 */
export async function startSender(on) {
    const { AwsS3, Uppy } = await load();
    const uppy = new Uppy({ autoProceed: true, logger: SILENT }).use(AwsS3, {
        shouldUseMultipart: false,
        generateObjectKey: (file) => file.id,
        signRequest: ({ key }) => on.sign(key),
    });
    uppy.on('upload-progress', (file, { bytesUploaded, bytesTotal }) => on.progress(file.id, (100 * bytesUploaded) / bytesTotal));
    uppy.on('upload-success', (file) => on.success(file.id));
    uppy.on('upload-error', (file, error) => on.error(file.id, error));
    return uppy;
}
