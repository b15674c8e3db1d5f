// tus-js-client against the dev server's Supabase Storage: resumable uploads as its documentation shows them.

import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import * as tus from 'tus-js-client'
import { run, server } from '../support/node/cases.mjs'

const world = JSON.parse(server('supabase'))
const base = `${world.url}/storage/v1`
const authorization = { authorization: `Bearer ${world.service_role_key}` }
const MIB = 1024 * 1024

async function bucket(options = {}) {
  const name = randomUUID().slice(0, 8)
  const answer = await fetch(`${base}/bucket`, {
    method: 'POST',
    headers: { ...authorization, 'content-type': 'application/json' },
    body: JSON.stringify({ name, ...options }),
  })
  assert.equal(answer.status, 200)
  return name
}

async function stored(name, key) {
  const answer = await fetch(`${base}/object/${name}/${key}`, { headers: authorization })
  assert.equal(answer.status, 200)
  return { bytes: Buffer.from(await answer.arrayBuffer()), headers: answer.headers }
}

/** Uploads, and resolves with the upload when it is done. */
function upload(body, name, key, options = {}) {
  return new Promise((resolve, reject) => {
    const task = new tus.Upload(body, {
      endpoint: `${base}/upload/resumable`,
      headers: authorization,
      chunkSize: 6 * MIB,
      retryDelays: null,
      metadata: { bucketName: name, objectName: key, contentType: 'text/x-tus', cacheControl: '3600' },
      onSuccess: () => resolve(task),
      onError: reject,
      ...options,
    })
    if (options.previous) task.resumeFromPreviousUpload(options.previous)
    task.start()
  })
}

async function refused(promise, status, message) {
  const error = await promise.then(() => assert.fail('it was not refused'), (error) => error)
  assert.equal(error.originalResponse?.getStatus(), status)
  assert.match(error.originalResponse.getBody(), message)
}

await run({
  async 'three chunks'() {
    const name = await bucket()
    const bytes = randomBytes(13 * MIB)
    const offsets = []
    await upload(bytes, name, 'dir/big', { onChunkComplete: (_, offset) => offsets.push(offset) })
    assert.deepEqual(offsets, [6 * MIB, 12 * MIB, 13 * MIB])
    const { bytes: back, headers } = await stored(name, 'dir/big')
    assert.ok(back.equals(bytes))
    assert.equal(headers.get('content-type'), 'text/x-tus')
    assert.equal(headers.get('cache-control'), 'max-age=3600')
  },

  async 'data with the creation'() {
    const name = await bucket()
    await upload(Buffer.from('hello'), name, 'k', { uploadDataDuringCreation: true })
    assert.equal((await stored(name, 'k')).bytes.toString(), 'hello')
  },

  async 'an empty file'() {
    const name = await bucket()
    await upload(Buffer.alloc(0), name, 'k')
    assert.equal((await stored(name, 'k')).bytes.length, 0)
  },

  async 'a stream of unknown length'() {
    const name = await bucket()
    const { Readable } = await import('node:stream')
    const parts = [randomBytes(700000), randomBytes(800000)]
    const options = { uploadLengthDeferred: true, chunkSize: MIB }
    await upload(Readable.from(parts), name, 'k', options)
    assert.ok((await stored(name, 'k')).bytes.equals(Buffer.concat(parts)))
  },

  async 'aborted and resumed'() {
    const name = await bucket()
    const bytes = randomBytes(5 * MIB)
    const url = await new Promise((resolve, reject) => {
      const task = new tus.Upload(bytes, {
        endpoint: `${base}/upload/resumable`,
        headers: authorization,
        chunkSize: 2 * MIB,
        metadata: { bucketName: name, objectName: 'k' },
        onChunkComplete: () => task.abort().then(() => resolve(task.url), reject),
        onError: reject,
      })
      task.start()
    })
    assert.match(url, /\/storage\/v1\/upload\/resumable\//)
    const first = []
    await upload(bytes, name, 'k', { uploadUrl: url, chunkSize: 2 * MIB, onProgress: (sent) => first.push(sent) })
    assert.ok(first[0] >= 2 * MIB, `it went on at ${first[0]}`)
    assert.ok((await stored(name, 'k')).bytes.equals(bytes))
  },

  async 'terminated'() {
    const name = await bucket()
    const task = await new Promise((resolve, reject) => {
      const task = new tus.Upload(randomBytes(3 * MIB), {
        endpoint: `${base}/upload/resumable`,
        headers: authorization,
        chunkSize: MIB,
        metadata: { bucketName: name, objectName: 'k' },
        onChunkComplete: () => task.abort(true).then(() => resolve(task), reject),
        onError: reject,
      })
      task.start()
    })
    const answer = await fetch(task.url, { method: 'HEAD', headers: { ...authorization, 'tus-resumable': '1.0.0' } })
    assert.equal(answer.status, 404)
  },

  async 'create only, and upsert'() {
    const name = await bucket()
    await upload(Buffer.from('one'), name, 'k')
    await refused(upload(Buffer.from('two'), name, 'k'), 409, /already exists/)
    await upload(Buffer.from('two'), name, 'k', { headers: { ...authorization, 'x-upsert': 'true' } })
    assert.equal((await stored(name, 'k')).bytes.toString(), 'two')
  },

  async 'limits, types, rights'() {
    const name = await bucket({ file_size_limit: 4, allowed_mime_types: ['text/plain'] })
    const metadata = (contentType) => ({ metadata: { bucketName: name, objectName: 'k', contentType } })
    await refused(upload(Buffer.from('12345'), name, 'k', metadata('text/plain')), 413, /Maximum size exceeded/)
    await refused(upload(Buffer.from('1'), name, 'k', metadata('image/png')), 415, /not supported/)
    const headers = { authorization: `Bearer ${world.anon_key}` }
    await refused(upload(Buffer.from('1'), name, 'k', { ...metadata('text/plain'), headers }), 403, /row-level/)
  },

  async 'signed'() {
    const name = await bucket()
    const answer = await fetch(`${base}/object/upload/sign/${name}/k`, { method: 'POST', headers: authorization })
    const { token } = await answer.json()
    const endpoint = `${base}/upload/resumable/sign`
    await upload(Buffer.from('signed'), name, 'k', { endpoint, headers: { 'x-signature': token } })
    assert.equal((await stored(name, 'k')).bytes.toString(), 'signed')
  },
})
