// storage-js against the dev server: the documented calls on buckets and files.

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { StorageClient } from '@supabase/storage-js'
import { run, server } from '../support/node/cases.mjs'

const world = JSON.parse(server('supabase'))
const base = `${world.url}/storage/v1`

function connect(key = world.service_role_key) {
  return new StorageClient(base, { apikey: key, Authorization: `Bearer ${key}` })
}

/** The result of a call that succeeds. */
async function good(call) {
  const { data, error } = await call
  assert.equal(error, null)
  return data
}

/** The error of a call that is refused. */
async function refused(call, statusCode, message) {
  const { data, error } = await call
  assert.equal(data, null)
  assert.equal(String(error.statusCode), statusCode)
  assert.match(error.message, message)
  return error
}

async function bucket(options = { public: false }) {
  const id = randomUUID().slice(0, 8)
  await good(connect().createBucket(id, options))
  return [id, connect().from(id)]
}

const text = async (files, key) => (await good(files.download(key))).text()

await run({
  async 'buckets'() {
    const client = connect()
    const id = randomUUID().slice(0, 8)
    assert.deepEqual(await good(client.createBucket(id, { public: true, fileSizeLimit: '20mb' })), { name: id })
    await refused(client.createBucket(id), '409', /already exists/)
    const found = await good(client.getBucket(id))
    assert.equal(found.file_size_limit, 20000000)
    const keys = Object.keys(found).sort()
    const expected = 'allowed_mime_types created_at file_size_limit id name owner public updated_at'
    assert.equal(keys.join(' '), expected)
    assert.equal((await good(client.updateBucket(id, { public: false }))).message, 'Successfully updated')
    assert.ok((await good(client.listBuckets())).some((b) => b.id === id && b.type === 'STANDARD'))
    const listed = await good(client.listBuckets({ search: id.toUpperCase(), sortColumn: 'name', limit: 1 }))
    assert.equal(listed[0].id, id)
    await good(client.emptyBucket(id))
    assert.equal((await good(client.deleteBucket(id))).message, 'Successfully deleted')
    await refused(client.getBucket(id), '404', /Bucket not found/)
  },

  async 'uploads::of every kind of body'() {
    const [id, files] = await bucket()
    const first = await good(files.upload('dir/string.txt', 'hello'))
    assert.deepEqual([first.path, first.fullPath], ['dir/string.txt', `${id}/dir/string.txt`])
    await good(files.upload('buffer', Buffer.from('buffer'), { contentType: 'text/plain', cacheControl: '60' }))
    await good(files.upload('array', new TextEncoder().encode('array').buffer))
    await good(files.upload('blob', new Blob(['blob'], { type: 'text/x-blob' }), { metadata: { a: 1 } }))
    const form = new FormData()
    form.append('file', new Blob(['form']), 'form.txt')
    await good(files.upload('form', form, { cacheControl: '7' }))
    const stream = new Blob(['stream']).stream()
    await good(files.upload('stream', stream, { contentType: 'text/plain', duplex: 'half' }))
    for (const key of ['buffer', 'array', 'blob', 'form', 'stream']) assert.equal(await text(files, key), key)
    assert.equal(await text(files, 'dir/string.txt'), 'hello')
    assert.equal((await good(files.info('buffer'))).cacheControl, 'max-age=60')
    assert.equal((await good(files.info('form'))).cacheControl, 'max-age=7')
    const blob = await good(files.info('blob'))
    assert.deepEqual([blob.contentType, blob.metadata], ['text/x-blob', { a: 1 }])
  },

  async 'uploads::create only, upsert, update'() {
    const [, files] = await bucket()
    const { id } = await good(files.upload('a', 'one'))
    await refused(files.upload('a', 'two'), '409', /already exists/)
    assert.equal((await good(files.upload('a', 'two', { upsert: true }))).id, id)
    assert.equal((await good(files.update('a', 'three'))).id, id)
    assert.equal(await text(files, 'a'), 'three')
  },

  async 'uploads::limits and types'() {
    const [, files] = await bucket({ public: false, fileSizeLimit: '1kb', allowedMimeTypes: ['image/png'] })
    const png = { contentType: 'image/png' }
    await refused(files.upload('big', Buffer.alloc(1001), png), '413', /exceeded the maximum allowed size/)
    const jpeg = { contentType: 'image/jpeg' }
    await refused(files.upload('j', Buffer.alloc(1), jpeg), '415', /mime type image\/jpeg is not supported/)
    await good(files.upload('p', Buffer.alloc(1000), png))
  },

  async 'downloads'() {
    const [, files] = await bucket()
    await good(files.upload('a', 'hello'))
    const blob = await good(files.download('a'))
    assert.deepEqual([await blob.text(), blob.type], ['hello', 'text/plain;charset=utf-8'])
    const stream = await good(files.download('a').asStream())
    assert.equal(await new Response(stream).text(), 'hello')
    assert.equal(await good(files.exists('a')), true)
    assert.equal((await files.exists('nope')).data, false)
    const missing = await files.download('nope')
    assert.ok(missing.error)
  },

  async 'listings'() {
    const [, files] = await bucket()
    for (const key of ['a/1', 'a/2', 'b/1', 'top']) await good(files.upload(key, key))
    const names = (rows) => rows.map((row) => row.name)
    assert.deepEqual(names(await good(files.list())), ['a', 'b', 'top'])
    const options = { limit: 1, sortBy: { column: 'name', order: 'desc' } }
    assert.deepEqual(names(await good(files.list('a', options))), ['2'])
    const found = []
    let cursor
    do {
      const page = await good(files.listV2({ limit: 3, cursor, sortBy: { column: 'created_at', order: 'asc' } }))
      found.push(...names(page.objects))
      cursor = page.nextCursor
    } while (cursor)
    assert.deepEqual(found, ['a/1', 'a/2', 'b/1', 'top'])
    const folders = await good(files.listV2({ with_delimiter: true }))
    assert.deepEqual([names(folders.folders), names(folders.objects)], [['a/', 'b/'], ['top']])
  },

  async 'move, copy, remove'() {
    const [, files] = await bucket()
    const [other, target] = await bucket()
    await good(files.upload('a', 'x'))
    assert.equal((await good(files.copy('a', 'b', { destinationBucket: other }))).path, `${other}/b`)
    assert.equal((await good(files.move('a', 'c', { destinationBucket: other }))).message, 'Successfully moved')
    assert.equal(await text(target, 'c'), 'x')
    const removed = await good(target.remove(['b', 'c', 'nope']))
    assert.deepEqual(removed.map((row) => row.name).sort(), ['b', 'c'])
  },

  async 'urls::signed'() {
    const [, files] = await bucket()
    await good(files.upload('dir/a b.txt', 'signed'))
    const { signedUrl } = await good(files.createSignedUrl('dir/a b.txt', 60, { download: 'n.txt' }))
    const answer = await fetch(signedUrl)
    assert.equal(await answer.text(), 'signed')
    assert.equal(answer.headers.get('content-disposition'), "attachment; filename=n.txt; filename*=UTF-8''n.txt")
    const many = await good(files.createSignedUrls(['dir/a b.txt', 'nope'], 60))
    assert.equal(await (await fetch(many[0].signedUrl)).text(), 'signed')
    assert.ok(many[1].error)
  },

  async 'urls::for uploads'() {
    const [, files] = await bucket()
    const { path, token } = await good(files.createSignedUploadUrl('dir/up.txt'))
    const done = await good(connect(world.anon_key).from(files.bucketId).uploadToSignedUrl(path, token, 'up'))
    assert.equal(done.path, 'dir/up.txt')
    assert.equal(await text(files, 'dir/up.txt'), 'up')
    await refused(files.uploadToSignedUrl(path, token, 'again'), '409', /already exists/)
  },

  async 'urls::public, and transforms'() {
    const [, files] = await bucket({ public: true })
    await good(files.upload('p.jpg', Buffer.from('pixels'), { contentType: 'image/jpeg' }))
    const { publicUrl } = files.getPublicUrl('p.jpg').data
    assert.equal(await (await fetch(publicUrl)).text(), 'pixels')
    const transform = { width: 200, height: 200, quality: 60 }
    const { signedUrl } = await good(files.createSignedUrl('p.jpg', 60, { transform }))
    const answer = await fetch(signedUrl)
    assert.equal(answer.headers.get('x-transformations'), 'height:200,width:200,resizing_type:fill,quality:60')
    assert.equal(answer.headers.get('content-type'), 'image/jpeg')
    assert.equal((await good(files.download('p.jpg', { transform }))).type, 'image/jpeg')
  },

  async 'who may do what'() {
    const [id, files] = await bucket()
    await good(files.upload('a', 'x'))
    const anonymous = connect(world.anon_key)
    await refused(anonymous.from(id).upload('b', 'x'), '403', /row-level security/)
    assert.deepEqual(await good(anonymous.from(id).list()), [])
    assert.deepEqual(await good(anonymous.listBuckets()), [])
    await refused(new StorageClient(base, {}).listBuckets(), '403', /Invalid Compact JWS/)
    const opaque = connect(world.secret_key)
    assert.equal((await good(opaque.getBucket(id))).id, id)
  },
})
