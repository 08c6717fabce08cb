/*eslint-disable block-scoped-var, id-length, no-control-regex, no-magic-numbers, no-mixed-operators, no-prototype-builtins, no-redeclare, no-shadow, no-var, sort-vars, default-case, jsdoc/require-param*/
import $protobuf from "protobufjs/minimal.js";

const $Reader = $protobuf.Reader, $Writer = $protobuf.Writer, $util = $protobuf.util;
const $Object = $util.global.Object, $undefined = $util.global.undefined, $Error = $util.global.Error, $RangeError = $util.global.RangeError;

const $root = $protobuf.roots["cybermesh"] || ($protobuf.roots["cybermesh"] = {});

export const cybermesh = $root.cybermesh = (() => {

    const cybermesh = {};

    cybermesh.ai = (function() {

        const ai = {};

        ai.v1 = (function() {

            const v1 = {};

            v1.AnomalyEvent = (function() {

                const AnomalyEvent = function (properties) {
                    if (properties)
                        for (let keys = $Object.keys(properties), i = 0; i < keys.length; ++i)
                            if (properties[keys[i]] != null && keys[i] !== "__proto__")
                                this[keys[i]] = properties[keys[i]];
                };

                AnomalyEvent.prototype.id = "";
                AnomalyEvent.prototype.type = "";
                AnomalyEvent.prototype.source = "";
                AnomalyEvent.prototype.severity = 0;
                AnomalyEvent.prototype.confidence = 0;
                AnomalyEvent.prototype.ts = $util.Long ? $util.Long.fromBits(0,0,false) : 0;
                AnomalyEvent.prototype.contentHash = $util.newBuffer([]);
                AnomalyEvent.prototype.payload = $util.newBuffer([]);
                AnomalyEvent.prototype.modelVersion = "";
                AnomalyEvent.prototype.producerId = $util.newBuffer([]);
                AnomalyEvent.prototype.nonce = $util.newBuffer([]);
                AnomalyEvent.prototype.signature = $util.newBuffer([]);
                AnomalyEvent.prototype.pubkey = $util.newBuffer([]);
                AnomalyEvent.prototype.alg = "";

                AnomalyEvent.encode = function (message, writer, _depth) {
                    if (!writer)
                        writer = $Writer.create();
                    if (_depth === $undefined)
                        _depth = 0;
                    if (_depth > $util.recursionLimit)
                        throw $Error("max depth exceeded");
                    if (message.id != null && $Object.hasOwnProperty.call(message, "id") && message.id !== "")
                        writer.uint32(10).string(message.id);
                    if (message.type != null && $Object.hasOwnProperty.call(message, "type") && message.type !== "")
                        writer.uint32(18).string(message.type);
                    if (message.source != null && $Object.hasOwnProperty.call(message, "source") && message.source !== "")
                        writer.uint32(26).string(message.source);
                    if (message.severity != null && $Object.hasOwnProperty.call(message, "severity") && message.severity !== 0)
                        writer.uint32(32).uint32(message.severity);
                    if (message.confidence != null && $Object.hasOwnProperty.call(message, "confidence") && !$Object.is(message.confidence, 0))
                        writer.uint32(41).double(message.confidence);
                    if (message.ts != null && $Object.hasOwnProperty.call(message, "ts") && (typeof message.ts === "object" ? message.ts.low || message.ts.high : message.ts !== 0))
                        writer.uint32(48).int64(message.ts);
                    if (message.contentHash != null && $Object.hasOwnProperty.call(message, "contentHash") && message.contentHash.length)
                        writer.uint32(58).bytes(message.contentHash);
                    if (message.payload != null && $Object.hasOwnProperty.call(message, "payload") && message.payload.length)
                        writer.uint32(66).bytes(message.payload);
                    if (message.modelVersion != null && $Object.hasOwnProperty.call(message, "modelVersion") && message.modelVersion !== "")
                        writer.uint32(74).string(message.modelVersion);
                    if (message.producerId != null && $Object.hasOwnProperty.call(message, "producerId") && message.producerId.length)
                        writer.uint32(82).bytes(message.producerId);
                    if (message.nonce != null && $Object.hasOwnProperty.call(message, "nonce") && message.nonce.length)
                        writer.uint32(90).bytes(message.nonce);
                    if (message.signature != null && $Object.hasOwnProperty.call(message, "signature") && message.signature.length)
                        writer.uint32(98).bytes(message.signature);
                    if (message.pubkey != null && $Object.hasOwnProperty.call(message, "pubkey") && message.pubkey.length)
                        writer.uint32(106).bytes(message.pubkey);
                    if (message.alg != null && $Object.hasOwnProperty.call(message, "alg") && message.alg !== "")
                        writer.uint32(114).string(message.alg);
                    if (message.$unknowns != null && $Object.hasOwnProperty.call(message, "$unknowns"))
                        for (let i = 0; i < message.$unknowns.length; ++i)
                            writer.raw(message.$unknowns[i]);
                    return writer;
                };

                AnomalyEvent.decode = function (reader, length, _end, _depth, _target) {
                    if (!(reader instanceof $Reader))
                        reader = $Reader.create(reader);
                    if (_depth === $undefined)
                        _depth = 0;
                    if (_depth > $Reader.recursionLimit)
                        throw $Error("max depth exceeded");
                    let end, message, value;
                    if (length === $undefined)
                        end = reader.len;
                    else {
                        end = reader.pos + length;
                        if (end > reader.len)
                            throw $RangeError("index out of range");
                        length = reader.len;
                        reader.len = end;
                    }
                    message = _target || new $root.cybermesh.ai.v1.AnomalyEvent();
                    while (reader.pos < end) {
                        let start = reader.pos;
                        let tag = reader.tag();
                        if (tag === _end) {
                            _end = $undefined;
                            break;
                        }
                        let wireType = tag & 7;
                        switch (tag >>>= 3) {
                        case 1: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.stringVerify()).length)
                                    message.id = value;
                                else
                                    delete message.id;
                                continue;
                            }
                        case 2: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.stringVerify()).length)
                                    message.type = value;
                                else
                                    delete message.type;
                                continue;
                            }
                        case 3: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.stringVerify()).length)
                                    message.source = value;
                                else
                                    delete message.source;
                                continue;
                            }
                        case 4: {
                                if (wireType !== 0)
                                    break;
                                if (value = reader.uint32())
                                    message.severity = value;
                                else
                                    delete message.severity;
                                continue;
                            }
                        case 5: {
                                if (wireType !== 1)
                                    break;
                                if (!$Object.is(value = reader.double(), 0))
                                    message.confidence = value;
                                else
                                    delete message.confidence;
                                continue;
                            }
                        case 6: {
                                if (wireType !== 0)
                                    break;
                                if (typeof (value = reader.int64()) === "object" ? value.low || value.high : value !== 0)
                                    message.ts = value;
                                else
                                    delete message.ts;
                                continue;
                            }
                        case 7: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.bytes()).length)
                                    message.contentHash = value;
                                else
                                    delete message.contentHash;
                                continue;
                            }
                        case 8: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.bytes()).length)
                                    message.payload = value;
                                else
                                    delete message.payload;
                                continue;
                            }
                        case 9: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.stringVerify()).length)
                                    message.modelVersion = value;
                                else
                                    delete message.modelVersion;
                                continue;
                            }
                        case 10: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.bytes()).length)
                                    message.producerId = value;
                                else
                                    delete message.producerId;
                                continue;
                            }
                        case 11: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.bytes()).length)
                                    message.nonce = value;
                                else
                                    delete message.nonce;
                                continue;
                            }
                        case 12: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.bytes()).length)
                                    message.signature = value;
                                else
                                    delete message.signature;
                                continue;
                            }
                        case 13: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.bytes()).length)
                                    message.pubkey = value;
                                else
                                    delete message.pubkey;
                                continue;
                            }
                        case 14: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.stringVerify()).length)
                                    message.alg = value;
                                else
                                    delete message.alg;
                                continue;
                            }
                        }
                        reader.skipType(wireType, _depth, tag);
                        if (!reader.discardUnknown) {
                            $util.makeProp(message, "$unknowns", false);
                            (message.$unknowns || (message.$unknowns = [])).push(reader.raw(start, reader.pos));
                        }
                    }
                    if (length !== $undefined) {
                        if (reader.pos !== end)
                            throw $RangeError("index out of range");
                        reader.len = length;
                    }
                    if (_end !== $undefined)
                        throw $Error("missing end group");
                    return message;
                };

                return AnomalyEvent;
            })();

            v1.ChainOfCustodyEntry = (function() {

                const ChainOfCustodyEntry = function (properties) {
                    if (properties)
                        for (let keys = $Object.keys(properties), i = 0; i < keys.length; ++i)
                            if (properties[keys[i]] != null && keys[i] !== "__proto__")
                                this[keys[i]] = properties[keys[i]];
                };

                ChainOfCustodyEntry.prototype.refHash = $util.newBuffer([]);
                ChainOfCustodyEntry.prototype.actorId = $util.newBuffer([]);
                ChainOfCustodyEntry.prototype.ts = $util.Long ? $util.Long.fromBits(0,0,false) : 0;
                ChainOfCustodyEntry.prototype.signature = $util.newBuffer([]);

                ChainOfCustodyEntry.encode = function (message, writer, _depth) {
                    if (!writer)
                        writer = $Writer.create();
                    if (_depth === $undefined)
                        _depth = 0;
                    if (_depth > $util.recursionLimit)
                        throw $Error("max depth exceeded");
                    if (message.refHash != null && $Object.hasOwnProperty.call(message, "refHash") && message.refHash.length)
                        writer.uint32(10).bytes(message.refHash);
                    if (message.actorId != null && $Object.hasOwnProperty.call(message, "actorId") && message.actorId.length)
                        writer.uint32(18).bytes(message.actorId);
                    if (message.ts != null && $Object.hasOwnProperty.call(message, "ts") && (typeof message.ts === "object" ? message.ts.low || message.ts.high : message.ts !== 0))
                        writer.uint32(24).int64(message.ts);
                    if (message.signature != null && $Object.hasOwnProperty.call(message, "signature") && message.signature.length)
                        writer.uint32(34).bytes(message.signature);
                    if (message.$unknowns != null && $Object.hasOwnProperty.call(message, "$unknowns"))
                        for (let i = 0; i < message.$unknowns.length; ++i)
                            writer.raw(message.$unknowns[i]);
                    return writer;
                };

                ChainOfCustodyEntry.decode = function (reader, length, _end, _depth, _target) {
                    if (!(reader instanceof $Reader))
                        reader = $Reader.create(reader);
                    if (_depth === $undefined)
                        _depth = 0;
                    if (_depth > $Reader.recursionLimit)
                        throw $Error("max depth exceeded");
                    let end, message, value;
                    if (length === $undefined)
                        end = reader.len;
                    else {
                        end = reader.pos + length;
                        if (end > reader.len)
                            throw $RangeError("index out of range");
                        length = reader.len;
                        reader.len = end;
                    }
                    message = _target || new $root.cybermesh.ai.v1.ChainOfCustodyEntry();
                    while (reader.pos < end) {
                        let start = reader.pos;
                        let tag = reader.tag();
                        if (tag === _end) {
                            _end = $undefined;
                            break;
                        }
                        let wireType = tag & 7;
                        switch (tag >>>= 3) {
                        case 1: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.bytes()).length)
                                    message.refHash = value;
                                else
                                    delete message.refHash;
                                continue;
                            }
                        case 2: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.bytes()).length)
                                    message.actorId = value;
                                else
                                    delete message.actorId;
                                continue;
                            }
                        case 3: {
                                if (wireType !== 0)
                                    break;
                                if (typeof (value = reader.int64()) === "object" ? value.low || value.high : value !== 0)
                                    message.ts = value;
                                else
                                    delete message.ts;
                                continue;
                            }
                        case 4: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.bytes()).length)
                                    message.signature = value;
                                else
                                    delete message.signature;
                                continue;
                            }
                        }
                        reader.skipType(wireType, _depth, tag);
                        if (!reader.discardUnknown) {
                            $util.makeProp(message, "$unknowns", false);
                            (message.$unknowns || (message.$unknowns = [])).push(reader.raw(start, reader.pos));
                        }
                    }
                    if (length !== $undefined) {
                        if (reader.pos !== end)
                            throw $RangeError("index out of range");
                        reader.len = length;
                    }
                    if (_end !== $undefined)
                        throw $Error("missing end group");
                    return message;
                };

                return ChainOfCustodyEntry;
            })();

            v1.EvidenceEvent = (function() {

                const EvidenceEvent = function (properties) {
                    this.refs = [];
                    this.coc = [];
                    if (properties)
                        for (let keys = $Object.keys(properties), i = 0; i < keys.length; ++i)
                            if (properties[keys[i]] != null && keys[i] !== "__proto__")
                                this[keys[i]] = properties[keys[i]];
                };

                EvidenceEvent.prototype.id = "";
                EvidenceEvent.prototype.evidenceType = "";
                EvidenceEvent.prototype.refs = $util.emptyArray;
                EvidenceEvent.prototype.proofBlob = $util.newBuffer([]);
                EvidenceEvent.prototype.coc = $util.emptyArray;
                EvidenceEvent.prototype.ts = $util.Long ? $util.Long.fromBits(0,0,false) : 0;
                EvidenceEvent.prototype.contentHash = $util.newBuffer([]);
                EvidenceEvent.prototype.producerId = $util.newBuffer([]);
                EvidenceEvent.prototype.nonce = $util.newBuffer([]);
                EvidenceEvent.prototype.signature = $util.newBuffer([]);
                EvidenceEvent.prototype.pubkey = $util.newBuffer([]);
                EvidenceEvent.prototype.alg = "";

                EvidenceEvent.encode = function (message, writer, _depth) {
                    if (!writer)
                        writer = $Writer.create();
                    if (_depth === $undefined)
                        _depth = 0;
                    if (_depth > $util.recursionLimit)
                        throw $Error("max depth exceeded");
                    if (message.id != null && $Object.hasOwnProperty.call(message, "id") && message.id !== "")
                        writer.uint32(10).string(message.id);
                    if (message.evidenceType != null && $Object.hasOwnProperty.call(message, "evidenceType") && message.evidenceType !== "")
                        writer.uint32(18).string(message.evidenceType);
                    if (message.refs != null && message.refs.length)
                        for (let i = 0; i < message.refs.length; ++i)
                            writer.uint32(26).bytes(message.refs[i]);
                    if (message.proofBlob != null && $Object.hasOwnProperty.call(message, "proofBlob") && message.proofBlob.length)
                        writer.uint32(34).bytes(message.proofBlob);
                    if (message.coc != null && message.coc.length)
                        for (let i = 0; i < message.coc.length; ++i)
                            $root.cybermesh.ai.v1.ChainOfCustodyEntry.encode(message.coc[i], writer.uint32(42).fork(), _depth + 1).ldelim();
                    if (message.ts != null && $Object.hasOwnProperty.call(message, "ts") && (typeof message.ts === "object" ? message.ts.low || message.ts.high : message.ts !== 0))
                        writer.uint32(48).int64(message.ts);
                    if (message.contentHash != null && $Object.hasOwnProperty.call(message, "contentHash") && message.contentHash.length)
                        writer.uint32(58).bytes(message.contentHash);
                    if (message.producerId != null && $Object.hasOwnProperty.call(message, "producerId") && message.producerId.length)
                        writer.uint32(66).bytes(message.producerId);
                    if (message.nonce != null && $Object.hasOwnProperty.call(message, "nonce") && message.nonce.length)
                        writer.uint32(74).bytes(message.nonce);
                    if (message.signature != null && $Object.hasOwnProperty.call(message, "signature") && message.signature.length)
                        writer.uint32(82).bytes(message.signature);
                    if (message.pubkey != null && $Object.hasOwnProperty.call(message, "pubkey") && message.pubkey.length)
                        writer.uint32(90).bytes(message.pubkey);
                    if (message.alg != null && $Object.hasOwnProperty.call(message, "alg") && message.alg !== "")
                        writer.uint32(98).string(message.alg);
                    if (message.$unknowns != null && $Object.hasOwnProperty.call(message, "$unknowns"))
                        for (let i = 0; i < message.$unknowns.length; ++i)
                            writer.raw(message.$unknowns[i]);
                    return writer;
                };

                EvidenceEvent.decode = function (reader, length, _end, _depth, _target) {
                    if (!(reader instanceof $Reader))
                        reader = $Reader.create(reader);
                    if (_depth === $undefined)
                        _depth = 0;
                    if (_depth > $Reader.recursionLimit)
                        throw $Error("max depth exceeded");
                    let end, message, value;
                    if (length === $undefined)
                        end = reader.len;
                    else {
                        end = reader.pos + length;
                        if (end > reader.len)
                            throw $RangeError("index out of range");
                        length = reader.len;
                        reader.len = end;
                    }
                    message = _target || new $root.cybermesh.ai.v1.EvidenceEvent();
                    while (reader.pos < end) {
                        let start = reader.pos;
                        let tag = reader.tag();
                        if (tag === _end) {
                            _end = $undefined;
                            break;
                        }
                        let wireType = tag & 7;
                        switch (tag >>>= 3) {
                        case 1: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.stringVerify()).length)
                                    message.id = value;
                                else
                                    delete message.id;
                                continue;
                            }
                        case 2: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.stringVerify()).length)
                                    message.evidenceType = value;
                                else
                                    delete message.evidenceType;
                                continue;
                            }
                        case 3: {
                                if (wireType !== 2)
                                    break;
                                if (!(message.refs && message.refs.length))
                                    message.refs = [];
                                message.refs.push(reader.bytes());
                                continue;
                            }
                        case 4: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.bytes()).length)
                                    message.proofBlob = value;
                                else
                                    delete message.proofBlob;
                                continue;
                            }
                        case 5: {
                                if (wireType !== 2)
                                    break;
                                if (!(message.coc && message.coc.length))
                                    message.coc = [];
                                message.coc.push($root.cybermesh.ai.v1.ChainOfCustodyEntry.decode(reader, reader.size(), $undefined, _depth + 1));
                                continue;
                            }
                        case 6: {
                                if (wireType !== 0)
                                    break;
                                if (typeof (value = reader.int64()) === "object" ? value.low || value.high : value !== 0)
                                    message.ts = value;
                                else
                                    delete message.ts;
                                continue;
                            }
                        case 7: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.bytes()).length)
                                    message.contentHash = value;
                                else
                                    delete message.contentHash;
                                continue;
                            }
                        case 8: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.bytes()).length)
                                    message.producerId = value;
                                else
                                    delete message.producerId;
                                continue;
                            }
                        case 9: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.bytes()).length)
                                    message.nonce = value;
                                else
                                    delete message.nonce;
                                continue;
                            }
                        case 10: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.bytes()).length)
                                    message.signature = value;
                                else
                                    delete message.signature;
                                continue;
                            }
                        case 11: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.bytes()).length)
                                    message.pubkey = value;
                                else
                                    delete message.pubkey;
                                continue;
                            }
                        case 12: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.stringVerify()).length)
                                    message.alg = value;
                                else
                                    delete message.alg;
                                continue;
                            }
                        }
                        reader.skipType(wireType, _depth, tag);
                        if (!reader.discardUnknown) {
                            $util.makeProp(message, "$unknowns", false);
                            (message.$unknowns || (message.$unknowns = [])).push(reader.raw(start, reader.pos));
                        }
                    }
                    if (length !== $undefined) {
                        if (reader.pos !== end)
                            throw $RangeError("index out of range");
                        reader.len = length;
                    }
                    if (_end !== $undefined)
                        throw $Error("missing end group");
                    return message;
                };

                return EvidenceEvent;
            })();

            v1.PolicyEvent = (function() {

                const PolicyEvent = function (properties) {
                    if (properties)
                        for (let keys = $Object.keys(properties), i = 0; i < keys.length; ++i)
                            if (properties[keys[i]] != null && keys[i] !== "__proto__")
                                this[keys[i]] = properties[keys[i]];
                };

                PolicyEvent.prototype.id = "";
                PolicyEvent.prototype.action = "";
                PolicyEvent.prototype.rule = "";
                PolicyEvent.prototype.params = $util.newBuffer([]);
                PolicyEvent.prototype.ts = $util.Long ? $util.Long.fromBits(0,0,false) : 0;
                PolicyEvent.prototype.contentHash = $util.newBuffer([]);
                PolicyEvent.prototype.producerId = $util.newBuffer([]);
                PolicyEvent.prototype.nonce = $util.newBuffer([]);
                PolicyEvent.prototype.signature = $util.newBuffer([]);
                PolicyEvent.prototype.pubkey = $util.newBuffer([]);
                PolicyEvent.prototype.alg = "";

                PolicyEvent.encode = function (message, writer, _depth) {
                    if (!writer)
                        writer = $Writer.create();
                    if (_depth === $undefined)
                        _depth = 0;
                    if (_depth > $util.recursionLimit)
                        throw $Error("max depth exceeded");
                    if (message.id != null && $Object.hasOwnProperty.call(message, "id") && message.id !== "")
                        writer.uint32(10).string(message.id);
                    if (message.action != null && $Object.hasOwnProperty.call(message, "action") && message.action !== "")
                        writer.uint32(18).string(message.action);
                    if (message.rule != null && $Object.hasOwnProperty.call(message, "rule") && message.rule !== "")
                        writer.uint32(26).string(message.rule);
                    if (message.params != null && $Object.hasOwnProperty.call(message, "params") && message.params.length)
                        writer.uint32(34).bytes(message.params);
                    if (message.ts != null && $Object.hasOwnProperty.call(message, "ts") && (typeof message.ts === "object" ? message.ts.low || message.ts.high : message.ts !== 0))
                        writer.uint32(40).int64(message.ts);
                    if (message.contentHash != null && $Object.hasOwnProperty.call(message, "contentHash") && message.contentHash.length)
                        writer.uint32(50).bytes(message.contentHash);
                    if (message.producerId != null && $Object.hasOwnProperty.call(message, "producerId") && message.producerId.length)
                        writer.uint32(58).bytes(message.producerId);
                    if (message.nonce != null && $Object.hasOwnProperty.call(message, "nonce") && message.nonce.length)
                        writer.uint32(66).bytes(message.nonce);
                    if (message.signature != null && $Object.hasOwnProperty.call(message, "signature") && message.signature.length)
                        writer.uint32(74).bytes(message.signature);
                    if (message.pubkey != null && $Object.hasOwnProperty.call(message, "pubkey") && message.pubkey.length)
                        writer.uint32(82).bytes(message.pubkey);
                    if (message.alg != null && $Object.hasOwnProperty.call(message, "alg") && message.alg !== "")
                        writer.uint32(90).string(message.alg);
                    if (message.$unknowns != null && $Object.hasOwnProperty.call(message, "$unknowns"))
                        for (let i = 0; i < message.$unknowns.length; ++i)
                            writer.raw(message.$unknowns[i]);
                    return writer;
                };

                PolicyEvent.decode = function (reader, length, _end, _depth, _target) {
                    if (!(reader instanceof $Reader))
                        reader = $Reader.create(reader);
                    if (_depth === $undefined)
                        _depth = 0;
                    if (_depth > $Reader.recursionLimit)
                        throw $Error("max depth exceeded");
                    let end, message, value;
                    if (length === $undefined)
                        end = reader.len;
                    else {
                        end = reader.pos + length;
                        if (end > reader.len)
                            throw $RangeError("index out of range");
                        length = reader.len;
                        reader.len = end;
                    }
                    message = _target || new $root.cybermesh.ai.v1.PolicyEvent();
                    while (reader.pos < end) {
                        let start = reader.pos;
                        let tag = reader.tag();
                        if (tag === _end) {
                            _end = $undefined;
                            break;
                        }
                        let wireType = tag & 7;
                        switch (tag >>>= 3) {
                        case 1: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.stringVerify()).length)
                                    message.id = value;
                                else
                                    delete message.id;
                                continue;
                            }
                        case 2: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.stringVerify()).length)
                                    message.action = value;
                                else
                                    delete message.action;
                                continue;
                            }
                        case 3: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.stringVerify()).length)
                                    message.rule = value;
                                else
                                    delete message.rule;
                                continue;
                            }
                        case 4: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.bytes()).length)
                                    message.params = value;
                                else
                                    delete message.params;
                                continue;
                            }
                        case 5: {
                                if (wireType !== 0)
                                    break;
                                if (typeof (value = reader.int64()) === "object" ? value.low || value.high : value !== 0)
                                    message.ts = value;
                                else
                                    delete message.ts;
                                continue;
                            }
                        case 6: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.bytes()).length)
                                    message.contentHash = value;
                                else
                                    delete message.contentHash;
                                continue;
                            }
                        case 7: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.bytes()).length)
                                    message.producerId = value;
                                else
                                    delete message.producerId;
                                continue;
                            }
                        case 8: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.bytes()).length)
                                    message.nonce = value;
                                else
                                    delete message.nonce;
                                continue;
                            }
                        case 9: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.bytes()).length)
                                    message.signature = value;
                                else
                                    delete message.signature;
                                continue;
                            }
                        case 10: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.bytes()).length)
                                    message.pubkey = value;
                                else
                                    delete message.pubkey;
                                continue;
                            }
                        case 11: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.stringVerify()).length)
                                    message.alg = value;
                                else
                                    delete message.alg;
                                continue;
                            }
                        }
                        reader.skipType(wireType, _depth, tag);
                        if (!reader.discardUnknown) {
                            $util.makeProp(message, "$unknowns", false);
                            (message.$unknowns || (message.$unknowns = [])).push(reader.raw(start, reader.pos));
                        }
                    }
                    if (length !== $undefined) {
                        if (reader.pos !== end)
                            throw $RangeError("index out of range");
                        reader.len = length;
                    }
                    if (_end !== $undefined)
                        throw $Error("missing end group");
                    return message;
                };

                return PolicyEvent;
            })();

            return v1;
        })();

        return ai;
    })();

    cybermesh.control = (function() {

        const control = {};

        control.v1 = (function() {

            const v1 = {};

            v1.CommitEvent = (function() {

                const CommitEvent = function (properties) {
                    this.anomalyIds = [];
                    if (properties)
                        for (let keys = $Object.keys(properties), i = 0; i < keys.length; ++i)
                            if (properties[keys[i]] != null && keys[i] !== "__proto__")
                                this[keys[i]] = properties[keys[i]];
                };

                CommitEvent.prototype.height = $util.Long ? $util.Long.fromBits(0,0,false) : 0;
                CommitEvent.prototype.blockHash = $util.newBuffer([]);
                CommitEvent.prototype.stateRoot = $util.newBuffer([]);
                CommitEvent.prototype.txCount = 0;
                CommitEvent.prototype.anomalyCount = 0;
                CommitEvent.prototype.evidenceCount = 0;
                CommitEvent.prototype.policyCount = 0;
                CommitEvent.prototype.timestamp = $util.Long ? $util.Long.fromBits(0,0,false) : 0;
                CommitEvent.prototype.producerId = $util.newBuffer([]);
                CommitEvent.prototype.signature = $util.newBuffer([]);
                CommitEvent.prototype.pubkey = $util.newBuffer([]);
                CommitEvent.prototype.alg = "";
                CommitEvent.prototype.anomalyIds = $util.emptyArray;

                CommitEvent.encode = function (message, writer, _depth) {
                    if (!writer)
                        writer = $Writer.create();
                    if (_depth === $undefined)
                        _depth = 0;
                    if (_depth > $util.recursionLimit)
                        throw $Error("max depth exceeded");
                    if (message.height != null && $Object.hasOwnProperty.call(message, "height") && (typeof message.height === "object" ? message.height.low || message.height.high : message.height !== 0))
                        writer.uint32(8).int64(message.height);
                    if (message.blockHash != null && $Object.hasOwnProperty.call(message, "blockHash") && message.blockHash.length)
                        writer.uint32(18).bytes(message.blockHash);
                    if (message.stateRoot != null && $Object.hasOwnProperty.call(message, "stateRoot") && message.stateRoot.length)
                        writer.uint32(26).bytes(message.stateRoot);
                    if (message.txCount != null && $Object.hasOwnProperty.call(message, "txCount") && message.txCount !== 0)
                        writer.uint32(32).uint32(message.txCount);
                    if (message.anomalyCount != null && $Object.hasOwnProperty.call(message, "anomalyCount") && message.anomalyCount !== 0)
                        writer.uint32(40).uint32(message.anomalyCount);
                    if (message.evidenceCount != null && $Object.hasOwnProperty.call(message, "evidenceCount") && message.evidenceCount !== 0)
                        writer.uint32(48).uint32(message.evidenceCount);
                    if (message.policyCount != null && $Object.hasOwnProperty.call(message, "policyCount") && message.policyCount !== 0)
                        writer.uint32(56).uint32(message.policyCount);
                    if (message.timestamp != null && $Object.hasOwnProperty.call(message, "timestamp") && (typeof message.timestamp === "object" ? message.timestamp.low || message.timestamp.high : message.timestamp !== 0))
                        writer.uint32(64).int64(message.timestamp);
                    if (message.producerId != null && $Object.hasOwnProperty.call(message, "producerId") && message.producerId.length)
                        writer.uint32(74).bytes(message.producerId);
                    if (message.signature != null && $Object.hasOwnProperty.call(message, "signature") && message.signature.length)
                        writer.uint32(82).bytes(message.signature);
                    if (message.pubkey != null && $Object.hasOwnProperty.call(message, "pubkey") && message.pubkey.length)
                        writer.uint32(90).bytes(message.pubkey);
                    if (message.alg != null && $Object.hasOwnProperty.call(message, "alg") && message.alg !== "")
                        writer.uint32(98).string(message.alg);
                    if (message.anomalyIds != null && message.anomalyIds.length)
                        for (let i = 0; i < message.anomalyIds.length; ++i)
                            writer.uint32(106).string(message.anomalyIds[i]);
                    if (message.$unknowns != null && $Object.hasOwnProperty.call(message, "$unknowns"))
                        for (let i = 0; i < message.$unknowns.length; ++i)
                            writer.raw(message.$unknowns[i]);
                    return writer;
                };

                CommitEvent.decode = function (reader, length, _end, _depth, _target) {
                    if (!(reader instanceof $Reader))
                        reader = $Reader.create(reader);
                    if (_depth === $undefined)
                        _depth = 0;
                    if (_depth > $Reader.recursionLimit)
                        throw $Error("max depth exceeded");
                    let end, message, value;
                    if (length === $undefined)
                        end = reader.len;
                    else {
                        end = reader.pos + length;
                        if (end > reader.len)
                            throw $RangeError("index out of range");
                        length = reader.len;
                        reader.len = end;
                    }
                    message = _target || new $root.cybermesh.control.v1.CommitEvent();
                    while (reader.pos < end) {
                        let start = reader.pos;
                        let tag = reader.tag();
                        if (tag === _end) {
                            _end = $undefined;
                            break;
                        }
                        let wireType = tag & 7;
                        switch (tag >>>= 3) {
                        case 1: {
                                if (wireType !== 0)
                                    break;
                                if (typeof (value = reader.int64()) === "object" ? value.low || value.high : value !== 0)
                                    message.height = value;
                                else
                                    delete message.height;
                                continue;
                            }
                        case 2: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.bytes()).length)
                                    message.blockHash = value;
                                else
                                    delete message.blockHash;
                                continue;
                            }
                        case 3: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.bytes()).length)
                                    message.stateRoot = value;
                                else
                                    delete message.stateRoot;
                                continue;
                            }
                        case 4: {
                                if (wireType !== 0)
                                    break;
                                if (value = reader.uint32())
                                    message.txCount = value;
                                else
                                    delete message.txCount;
                                continue;
                            }
                        case 5: {
                                if (wireType !== 0)
                                    break;
                                if (value = reader.uint32())
                                    message.anomalyCount = value;
                                else
                                    delete message.anomalyCount;
                                continue;
                            }
                        case 6: {
                                if (wireType !== 0)
                                    break;
                                if (value = reader.uint32())
                                    message.evidenceCount = value;
                                else
                                    delete message.evidenceCount;
                                continue;
                            }
                        case 7: {
                                if (wireType !== 0)
                                    break;
                                if (value = reader.uint32())
                                    message.policyCount = value;
                                else
                                    delete message.policyCount;
                                continue;
                            }
                        case 8: {
                                if (wireType !== 0)
                                    break;
                                if (typeof (value = reader.int64()) === "object" ? value.low || value.high : value !== 0)
                                    message.timestamp = value;
                                else
                                    delete message.timestamp;
                                continue;
                            }
                        case 9: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.bytes()).length)
                                    message.producerId = value;
                                else
                                    delete message.producerId;
                                continue;
                            }
                        case 10: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.bytes()).length)
                                    message.signature = value;
                                else
                                    delete message.signature;
                                continue;
                            }
                        case 11: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.bytes()).length)
                                    message.pubkey = value;
                                else
                                    delete message.pubkey;
                                continue;
                            }
                        case 12: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.stringVerify()).length)
                                    message.alg = value;
                                else
                                    delete message.alg;
                                continue;
                            }
                        case 13: {
                                if (wireType !== 2)
                                    break;
                                if (!(message.anomalyIds && message.anomalyIds.length))
                                    message.anomalyIds = [];
                                message.anomalyIds.push(reader.stringVerify());
                                continue;
                            }
                        }
                        reader.skipType(wireType, _depth, tag);
                        if (!reader.discardUnknown) {
                            $util.makeProp(message, "$unknowns", false);
                            (message.$unknowns || (message.$unknowns = [])).push(reader.raw(start, reader.pos));
                        }
                    }
                    if (length !== $undefined) {
                        if (reader.pos !== end)
                            throw $RangeError("index out of range");
                        reader.len = length;
                    }
                    if (_end !== $undefined)
                        throw $Error("missing end group");
                    return message;
                };

                return CommitEvent;
            })();

            v1.PolicyUpdateEvent = (function() {

                const PolicyUpdateEvent = function (properties) {
                    if (properties)
                        for (let keys = $Object.keys(properties), i = 0; i < keys.length; ++i)
                            if (properties[keys[i]] != null && keys[i] !== "__proto__")
                                this[keys[i]] = properties[keys[i]];
                };

                PolicyUpdateEvent.prototype.policyId = "";
                PolicyUpdateEvent.prototype.action = "";
                PolicyUpdateEvent.prototype.ruleType = "";
                PolicyUpdateEvent.prototype.ruleData = $util.newBuffer([]);
                PolicyUpdateEvent.prototype.ruleHash = $util.newBuffer([]);
                PolicyUpdateEvent.prototype.requiresAck = false;
                PolicyUpdateEvent.prototype.rollbackPolicyId = "";
                PolicyUpdateEvent.prototype.timestamp = $util.Long ? $util.Long.fromBits(0,0,false) : 0;
                PolicyUpdateEvent.prototype.effectiveHeight = $util.Long ? $util.Long.fromBits(0,0,false) : 0;
                PolicyUpdateEvent.prototype.expirationHeight = $util.Long ? $util.Long.fromBits(0,0,false) : 0;
                PolicyUpdateEvent.prototype.producerId = $util.newBuffer([]);
                PolicyUpdateEvent.prototype.signature = $util.newBuffer([]);
                PolicyUpdateEvent.prototype.pubkey = $util.newBuffer([]);
                PolicyUpdateEvent.prototype.alg = "";
                PolicyUpdateEvent.prototype.commitProof = $util.newBuffer([]);

                PolicyUpdateEvent.encode = function (message, writer, _depth) {
                    if (!writer)
                        writer = $Writer.create();
                    if (_depth === $undefined)
                        _depth = 0;
                    if (_depth > $util.recursionLimit)
                        throw $Error("max depth exceeded");
                    if (message.policyId != null && $Object.hasOwnProperty.call(message, "policyId") && message.policyId !== "")
                        writer.uint32(10).string(message.policyId);
                    if (message.action != null && $Object.hasOwnProperty.call(message, "action") && message.action !== "")
                        writer.uint32(18).string(message.action);
                    if (message.ruleType != null && $Object.hasOwnProperty.call(message, "ruleType") && message.ruleType !== "")
                        writer.uint32(26).string(message.ruleType);
                    if (message.ruleData != null && $Object.hasOwnProperty.call(message, "ruleData") && message.ruleData.length)
                        writer.uint32(34).bytes(message.ruleData);
                    if (message.ruleHash != null && $Object.hasOwnProperty.call(message, "ruleHash") && message.ruleHash.length)
                        writer.uint32(42).bytes(message.ruleHash);
                    if (message.requiresAck != null && $Object.hasOwnProperty.call(message, "requiresAck") && message.requiresAck !== false)
                        writer.uint32(48).bool(message.requiresAck);
                    if (message.rollbackPolicyId != null && $Object.hasOwnProperty.call(message, "rollbackPolicyId") && message.rollbackPolicyId !== "")
                        writer.uint32(58).string(message.rollbackPolicyId);
                    if (message.timestamp != null && $Object.hasOwnProperty.call(message, "timestamp") && (typeof message.timestamp === "object" ? message.timestamp.low || message.timestamp.high : message.timestamp !== 0))
                        writer.uint32(64).int64(message.timestamp);
                    if (message.effectiveHeight != null && $Object.hasOwnProperty.call(message, "effectiveHeight") && (typeof message.effectiveHeight === "object" ? message.effectiveHeight.low || message.effectiveHeight.high : message.effectiveHeight !== 0))
                        writer.uint32(72).int64(message.effectiveHeight);
                    if (message.expirationHeight != null && $Object.hasOwnProperty.call(message, "expirationHeight") && (typeof message.expirationHeight === "object" ? message.expirationHeight.low || message.expirationHeight.high : message.expirationHeight !== 0))
                        writer.uint32(80).int64(message.expirationHeight);
                    if (message.producerId != null && $Object.hasOwnProperty.call(message, "producerId") && message.producerId.length)
                        writer.uint32(90).bytes(message.producerId);
                    if (message.signature != null && $Object.hasOwnProperty.call(message, "signature") && message.signature.length)
                        writer.uint32(98).bytes(message.signature);
                    if (message.pubkey != null && $Object.hasOwnProperty.call(message, "pubkey") && message.pubkey.length)
                        writer.uint32(106).bytes(message.pubkey);
                    if (message.alg != null && $Object.hasOwnProperty.call(message, "alg") && message.alg !== "")
                        writer.uint32(114).string(message.alg);
                    if (message.commitProof != null && $Object.hasOwnProperty.call(message, "commitProof") && message.commitProof.length)
                        writer.uint32(122).bytes(message.commitProof);
                    if (message.$unknowns != null && $Object.hasOwnProperty.call(message, "$unknowns"))
                        for (let i = 0; i < message.$unknowns.length; ++i)
                            writer.raw(message.$unknowns[i]);
                    return writer;
                };

                PolicyUpdateEvent.decode = function (reader, length, _end, _depth, _target) {
                    if (!(reader instanceof $Reader))
                        reader = $Reader.create(reader);
                    if (_depth === $undefined)
                        _depth = 0;
                    if (_depth > $Reader.recursionLimit)
                        throw $Error("max depth exceeded");
                    let end, message, value;
                    if (length === $undefined)
                        end = reader.len;
                    else {
                        end = reader.pos + length;
                        if (end > reader.len)
                            throw $RangeError("index out of range");
                        length = reader.len;
                        reader.len = end;
                    }
                    message = _target || new $root.cybermesh.control.v1.PolicyUpdateEvent();
                    while (reader.pos < end) {
                        let start = reader.pos;
                        let tag = reader.tag();
                        if (tag === _end) {
                            _end = $undefined;
                            break;
                        }
                        let wireType = tag & 7;
                        switch (tag >>>= 3) {
                        case 1: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.stringVerify()).length)
                                    message.policyId = value;
                                else
                                    delete message.policyId;
                                continue;
                            }
                        case 2: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.stringVerify()).length)
                                    message.action = value;
                                else
                                    delete message.action;
                                continue;
                            }
                        case 3: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.stringVerify()).length)
                                    message.ruleType = value;
                                else
                                    delete message.ruleType;
                                continue;
                            }
                        case 4: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.bytes()).length)
                                    message.ruleData = value;
                                else
                                    delete message.ruleData;
                                continue;
                            }
                        case 5: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.bytes()).length)
                                    message.ruleHash = value;
                                else
                                    delete message.ruleHash;
                                continue;
                            }
                        case 6: {
                                if (wireType !== 0)
                                    break;
                                if (value = reader.bool())
                                    message.requiresAck = value;
                                else
                                    delete message.requiresAck;
                                continue;
                            }
                        case 7: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.stringVerify()).length)
                                    message.rollbackPolicyId = value;
                                else
                                    delete message.rollbackPolicyId;
                                continue;
                            }
                        case 8: {
                                if (wireType !== 0)
                                    break;
                                if (typeof (value = reader.int64()) === "object" ? value.low || value.high : value !== 0)
                                    message.timestamp = value;
                                else
                                    delete message.timestamp;
                                continue;
                            }
                        case 9: {
                                if (wireType !== 0)
                                    break;
                                if (typeof (value = reader.int64()) === "object" ? value.low || value.high : value !== 0)
                                    message.effectiveHeight = value;
                                else
                                    delete message.effectiveHeight;
                                continue;
                            }
                        case 10: {
                                if (wireType !== 0)
                                    break;
                                if (typeof (value = reader.int64()) === "object" ? value.low || value.high : value !== 0)
                                    message.expirationHeight = value;
                                else
                                    delete message.expirationHeight;
                                continue;
                            }
                        case 11: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.bytes()).length)
                                    message.producerId = value;
                                else
                                    delete message.producerId;
                                continue;
                            }
                        case 12: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.bytes()).length)
                                    message.signature = value;
                                else
                                    delete message.signature;
                                continue;
                            }
                        case 13: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.bytes()).length)
                                    message.pubkey = value;
                                else
                                    delete message.pubkey;
                                continue;
                            }
                        case 14: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.stringVerify()).length)
                                    message.alg = value;
                                else
                                    delete message.alg;
                                continue;
                            }
                        case 15: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.bytes()).length)
                                    message.commitProof = value;
                                else
                                    delete message.commitProof;
                                continue;
                            }
                        }
                        reader.skipType(wireType, _depth, tag);
                        if (!reader.discardUnknown) {
                            $util.makeProp(message, "$unknowns", false);
                            (message.$unknowns || (message.$unknowns = [])).push(reader.raw(start, reader.pos));
                        }
                    }
                    if (length !== $undefined) {
                        if (reader.pos !== end)
                            throw $RangeError("index out of range");
                        reader.len = length;
                    }
                    if (_end !== $undefined)
                        throw $Error("missing end group");
                    return message;
                };

                return PolicyUpdateEvent;
            })();

            v1.PolicyAckEvent = (function() {

                const PolicyAckEvent = function (properties) {
                    if (properties)
                        for (let keys = $Object.keys(properties), i = 0; i < keys.length; ++i)
                            if (properties[keys[i]] != null && keys[i] !== "__proto__")
                                this[keys[i]] = properties[keys[i]];
                };

                PolicyAckEvent.prototype.policyId = "";
                PolicyAckEvent.prototype.scopeIdentifier = "";
                PolicyAckEvent.prototype.tenant = "";
                PolicyAckEvent.prototype.region = "";
                PolicyAckEvent.prototype.result = "";
                PolicyAckEvent.prototype.reason = "";
                PolicyAckEvent.prototype.errorCode = "";
                PolicyAckEvent.prototype.appliedAt = $util.Long ? $util.Long.fromBits(0,0,false) : 0;
                PolicyAckEvent.prototype.ackedAt = $util.Long ? $util.Long.fromBits(0,0,false) : 0;
                PolicyAckEvent.prototype.qcReference = "";
                PolicyAckEvent.prototype.controllerInstance = "";
                PolicyAckEvent.prototype.fastPath = false;
                PolicyAckEvent.prototype.ruleHash = $util.newBuffer([]);
                PolicyAckEvent.prototype.producerId = $util.newBuffer([]);
                PolicyAckEvent.prototype.appliedAtMs = $util.Long ? $util.Long.fromBits(0,0,false) : 0;
                PolicyAckEvent.prototype.ackedAtMs = $util.Long ? $util.Long.fromBits(0,0,false) : 0;
                PolicyAckEvent.prototype.traceId = "";
                PolicyAckEvent.prototype.sourceEventId = "";
                PolicyAckEvent.prototype.sentinelEventId = "";
                PolicyAckEvent.prototype.ackEventId = "";
                PolicyAckEvent.prototype.requestId = "";
                PolicyAckEvent.prototype.commandId = "";
                PolicyAckEvent.prototype.workflowId = "";
                PolicyAckEvent.prototype.signature = $util.newBuffer([]);
                PolicyAckEvent.prototype.pubkey = $util.newBuffer([]);
                PolicyAckEvent.prototype.alg = "";

                PolicyAckEvent.encode = function (message, writer, _depth) {
                    if (!writer)
                        writer = $Writer.create();
                    if (_depth === $undefined)
                        _depth = 0;
                    if (_depth > $util.recursionLimit)
                        throw $Error("max depth exceeded");
                    if (message.policyId != null && $Object.hasOwnProperty.call(message, "policyId") && message.policyId !== "")
                        writer.uint32(10).string(message.policyId);
                    if (message.scopeIdentifier != null && $Object.hasOwnProperty.call(message, "scopeIdentifier") && message.scopeIdentifier !== "")
                        writer.uint32(18).string(message.scopeIdentifier);
                    if (message.tenant != null && $Object.hasOwnProperty.call(message, "tenant") && message.tenant !== "")
                        writer.uint32(26).string(message.tenant);
                    if (message.region != null && $Object.hasOwnProperty.call(message, "region") && message.region !== "")
                        writer.uint32(34).string(message.region);
                    if (message.result != null && $Object.hasOwnProperty.call(message, "result") && message.result !== "")
                        writer.uint32(42).string(message.result);
                    if (message.reason != null && $Object.hasOwnProperty.call(message, "reason") && message.reason !== "")
                        writer.uint32(50).string(message.reason);
                    if (message.errorCode != null && $Object.hasOwnProperty.call(message, "errorCode") && message.errorCode !== "")
                        writer.uint32(58).string(message.errorCode);
                    if (message.appliedAt != null && $Object.hasOwnProperty.call(message, "appliedAt") && (typeof message.appliedAt === "object" ? message.appliedAt.low || message.appliedAt.high : message.appliedAt !== 0))
                        writer.uint32(64).int64(message.appliedAt);
                    if (message.ackedAt != null && $Object.hasOwnProperty.call(message, "ackedAt") && (typeof message.ackedAt === "object" ? message.ackedAt.low || message.ackedAt.high : message.ackedAt !== 0))
                        writer.uint32(72).int64(message.ackedAt);
                    if (message.qcReference != null && $Object.hasOwnProperty.call(message, "qcReference") && message.qcReference !== "")
                        writer.uint32(82).string(message.qcReference);
                    if (message.controllerInstance != null && $Object.hasOwnProperty.call(message, "controllerInstance") && message.controllerInstance !== "")
                        writer.uint32(90).string(message.controllerInstance);
                    if (message.fastPath != null && $Object.hasOwnProperty.call(message, "fastPath") && message.fastPath !== false)
                        writer.uint32(96).bool(message.fastPath);
                    if (message.ruleHash != null && $Object.hasOwnProperty.call(message, "ruleHash") && message.ruleHash.length)
                        writer.uint32(106).bytes(message.ruleHash);
                    if (message.producerId != null && $Object.hasOwnProperty.call(message, "producerId") && message.producerId.length)
                        writer.uint32(114).bytes(message.producerId);
                    if (message.appliedAtMs != null && $Object.hasOwnProperty.call(message, "appliedAtMs") && (typeof message.appliedAtMs === "object" ? message.appliedAtMs.low || message.appliedAtMs.high : message.appliedAtMs !== 0))
                        writer.uint32(120).int64(message.appliedAtMs);
                    if (message.ackedAtMs != null && $Object.hasOwnProperty.call(message, "ackedAtMs") && (typeof message.ackedAtMs === "object" ? message.ackedAtMs.low || message.ackedAtMs.high : message.ackedAtMs !== 0))
                        writer.uint32(128).int64(message.ackedAtMs);
                    if (message.traceId != null && $Object.hasOwnProperty.call(message, "traceId") && message.traceId !== "")
                        writer.uint32(138).string(message.traceId);
                    if (message.sourceEventId != null && $Object.hasOwnProperty.call(message, "sourceEventId") && message.sourceEventId !== "")
                        writer.uint32(146).string(message.sourceEventId);
                    if (message.sentinelEventId != null && $Object.hasOwnProperty.call(message, "sentinelEventId") && message.sentinelEventId !== "")
                        writer.uint32(154).string(message.sentinelEventId);
                    if (message.ackEventId != null && $Object.hasOwnProperty.call(message, "ackEventId") && message.ackEventId !== "")
                        writer.uint32(162).string(message.ackEventId);
                    if (message.requestId != null && $Object.hasOwnProperty.call(message, "requestId") && message.requestId !== "")
                        writer.uint32(170).string(message.requestId);
                    if (message.commandId != null && $Object.hasOwnProperty.call(message, "commandId") && message.commandId !== "")
                        writer.uint32(178).string(message.commandId);
                    if (message.workflowId != null && $Object.hasOwnProperty.call(message, "workflowId") && message.workflowId !== "")
                        writer.uint32(186).string(message.workflowId);
                    if (message.signature != null && $Object.hasOwnProperty.call(message, "signature") && message.signature.length)
                        writer.uint32(194).bytes(message.signature);
                    if (message.pubkey != null && $Object.hasOwnProperty.call(message, "pubkey") && message.pubkey.length)
                        writer.uint32(202).bytes(message.pubkey);
                    if (message.alg != null && $Object.hasOwnProperty.call(message, "alg") && message.alg !== "")
                        writer.uint32(210).string(message.alg);
                    if (message.$unknowns != null && $Object.hasOwnProperty.call(message, "$unknowns"))
                        for (let i = 0; i < message.$unknowns.length; ++i)
                            writer.raw(message.$unknowns[i]);
                    return writer;
                };

                PolicyAckEvent.decode = function (reader, length, _end, _depth, _target) {
                    if (!(reader instanceof $Reader))
                        reader = $Reader.create(reader);
                    if (_depth === $undefined)
                        _depth = 0;
                    if (_depth > $Reader.recursionLimit)
                        throw $Error("max depth exceeded");
                    let end, message, value;
                    if (length === $undefined)
                        end = reader.len;
                    else {
                        end = reader.pos + length;
                        if (end > reader.len)
                            throw $RangeError("index out of range");
                        length = reader.len;
                        reader.len = end;
                    }
                    message = _target || new $root.cybermesh.control.v1.PolicyAckEvent();
                    while (reader.pos < end) {
                        let start = reader.pos;
                        let tag = reader.tag();
                        if (tag === _end) {
                            _end = $undefined;
                            break;
                        }
                        let wireType = tag & 7;
                        switch (tag >>>= 3) {
                        case 1: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.stringVerify()).length)
                                    message.policyId = value;
                                else
                                    delete message.policyId;
                                continue;
                            }
                        case 2: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.stringVerify()).length)
                                    message.scopeIdentifier = value;
                                else
                                    delete message.scopeIdentifier;
                                continue;
                            }
                        case 3: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.stringVerify()).length)
                                    message.tenant = value;
                                else
                                    delete message.tenant;
                                continue;
                            }
                        case 4: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.stringVerify()).length)
                                    message.region = value;
                                else
                                    delete message.region;
                                continue;
                            }
                        case 5: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.stringVerify()).length)
                                    message.result = value;
                                else
                                    delete message.result;
                                continue;
                            }
                        case 6: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.stringVerify()).length)
                                    message.reason = value;
                                else
                                    delete message.reason;
                                continue;
                            }
                        case 7: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.stringVerify()).length)
                                    message.errorCode = value;
                                else
                                    delete message.errorCode;
                                continue;
                            }
                        case 8: {
                                if (wireType !== 0)
                                    break;
                                if (typeof (value = reader.int64()) === "object" ? value.low || value.high : value !== 0)
                                    message.appliedAt = value;
                                else
                                    delete message.appliedAt;
                                continue;
                            }
                        case 9: {
                                if (wireType !== 0)
                                    break;
                                if (typeof (value = reader.int64()) === "object" ? value.low || value.high : value !== 0)
                                    message.ackedAt = value;
                                else
                                    delete message.ackedAt;
                                continue;
                            }
                        case 10: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.stringVerify()).length)
                                    message.qcReference = value;
                                else
                                    delete message.qcReference;
                                continue;
                            }
                        case 11: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.stringVerify()).length)
                                    message.controllerInstance = value;
                                else
                                    delete message.controllerInstance;
                                continue;
                            }
                        case 12: {
                                if (wireType !== 0)
                                    break;
                                if (value = reader.bool())
                                    message.fastPath = value;
                                else
                                    delete message.fastPath;
                                continue;
                            }
                        case 13: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.bytes()).length)
                                    message.ruleHash = value;
                                else
                                    delete message.ruleHash;
                                continue;
                            }
                        case 14: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.bytes()).length)
                                    message.producerId = value;
                                else
                                    delete message.producerId;
                                continue;
                            }
                        case 15: {
                                if (wireType !== 0)
                                    break;
                                if (typeof (value = reader.int64()) === "object" ? value.low || value.high : value !== 0)
                                    message.appliedAtMs = value;
                                else
                                    delete message.appliedAtMs;
                                continue;
                            }
                        case 16: {
                                if (wireType !== 0)
                                    break;
                                if (typeof (value = reader.int64()) === "object" ? value.low || value.high : value !== 0)
                                    message.ackedAtMs = value;
                                else
                                    delete message.ackedAtMs;
                                continue;
                            }
                        case 17: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.stringVerify()).length)
                                    message.traceId = value;
                                else
                                    delete message.traceId;
                                continue;
                            }
                        case 18: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.stringVerify()).length)
                                    message.sourceEventId = value;
                                else
                                    delete message.sourceEventId;
                                continue;
                            }
                        case 19: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.stringVerify()).length)
                                    message.sentinelEventId = value;
                                else
                                    delete message.sentinelEventId;
                                continue;
                            }
                        case 20: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.stringVerify()).length)
                                    message.ackEventId = value;
                                else
                                    delete message.ackEventId;
                                continue;
                            }
                        case 21: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.stringVerify()).length)
                                    message.requestId = value;
                                else
                                    delete message.requestId;
                                continue;
                            }
                        case 22: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.stringVerify()).length)
                                    message.commandId = value;
                                else
                                    delete message.commandId;
                                continue;
                            }
                        case 23: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.stringVerify()).length)
                                    message.workflowId = value;
                                else
                                    delete message.workflowId;
                                continue;
                            }
                        case 24: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.bytes()).length)
                                    message.signature = value;
                                else
                                    delete message.signature;
                                continue;
                            }
                        case 25: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.bytes()).length)
                                    message.pubkey = value;
                                else
                                    delete message.pubkey;
                                continue;
                            }
                        case 26: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.stringVerify()).length)
                                    message.alg = value;
                                else
                                    delete message.alg;
                                continue;
                            }
                        }
                        reader.skipType(wireType, _depth, tag);
                        if (!reader.discardUnknown) {
                            $util.makeProp(message, "$unknowns", false);
                            (message.$unknowns || (message.$unknowns = [])).push(reader.raw(start, reader.pos));
                        }
                    }
                    if (length !== $undefined) {
                        if (reader.pos !== end)
                            throw $RangeError("index out of range");
                        reader.len = length;
                    }
                    if (_end !== $undefined)
                        throw $Error("missing end group");
                    return message;
                };

                return PolicyAckEvent;
            })();

            v1.ReputationEvent = (function() {

                const ReputationEvent = function (properties) {
                    if (properties)
                        for (let keys = $Object.keys(properties), i = 0; i < keys.length; ++i)
                            if (properties[keys[i]] != null && keys[i] !== "__proto__")
                                this[keys[i]] = properties[keys[i]];
                };

                ReputationEvent.prototype.aiMessageId = "";
                ReputationEvent.prototype.aiProducerId = $util.newBuffer([]);
                ReputationEvent.prototype.messageType = "";
                ReputationEvent.prototype.score = 0;
                ReputationEvent.prototype.reason = "";
                ReputationEvent.prototype.confirmed = false;
                ReputationEvent.prototype.falsePositive = false;
                ReputationEvent.prototype.analystNotes = "";
                ReputationEvent.prototype.incidentSeverity = 0;
                ReputationEvent.prototype.preventedAttack = false;
                ReputationEvent.prototype.timestamp = $util.Long ? $util.Long.fromBits(0,0,false) : 0;
                ReputationEvent.prototype.blockHeight = $util.Long ? $util.Long.fromBits(0,0,false) : 0;
                ReputationEvent.prototype.producerId = $util.newBuffer([]);
                ReputationEvent.prototype.signature = $util.newBuffer([]);
                ReputationEvent.prototype.pubkey = $util.newBuffer([]);
                ReputationEvent.prototype.alg = "";

                ReputationEvent.encode = function (message, writer, _depth) {
                    if (!writer)
                        writer = $Writer.create();
                    if (_depth === $undefined)
                        _depth = 0;
                    if (_depth > $util.recursionLimit)
                        throw $Error("max depth exceeded");
                    if (message.aiMessageId != null && $Object.hasOwnProperty.call(message, "aiMessageId") && message.aiMessageId !== "")
                        writer.uint32(10).string(message.aiMessageId);
                    if (message.aiProducerId != null && $Object.hasOwnProperty.call(message, "aiProducerId") && message.aiProducerId.length)
                        writer.uint32(18).bytes(message.aiProducerId);
                    if (message.messageType != null && $Object.hasOwnProperty.call(message, "messageType") && message.messageType !== "")
                        writer.uint32(26).string(message.messageType);
                    if (message.score != null && $Object.hasOwnProperty.call(message, "score") && message.score !== 0)
                        writer.uint32(32).int32(message.score);
                    if (message.reason != null && $Object.hasOwnProperty.call(message, "reason") && message.reason !== "")
                        writer.uint32(42).string(message.reason);
                    if (message.confirmed != null && $Object.hasOwnProperty.call(message, "confirmed") && message.confirmed !== false)
                        writer.uint32(48).bool(message.confirmed);
                    if (message.falsePositive != null && $Object.hasOwnProperty.call(message, "falsePositive") && message.falsePositive !== false)
                        writer.uint32(56).bool(message.falsePositive);
                    if (message.analystNotes != null && $Object.hasOwnProperty.call(message, "analystNotes") && message.analystNotes !== "")
                        writer.uint32(66).string(message.analystNotes);
                    if (message.incidentSeverity != null && $Object.hasOwnProperty.call(message, "incidentSeverity") && message.incidentSeverity !== 0)
                        writer.uint32(72).uint32(message.incidentSeverity);
                    if (message.preventedAttack != null && $Object.hasOwnProperty.call(message, "preventedAttack") && message.preventedAttack !== false)
                        writer.uint32(80).bool(message.preventedAttack);
                    if (message.timestamp != null && $Object.hasOwnProperty.call(message, "timestamp") && (typeof message.timestamp === "object" ? message.timestamp.low || message.timestamp.high : message.timestamp !== 0))
                        writer.uint32(88).int64(message.timestamp);
                    if (message.blockHeight != null && $Object.hasOwnProperty.call(message, "blockHeight") && (typeof message.blockHeight === "object" ? message.blockHeight.low || message.blockHeight.high : message.blockHeight !== 0))
                        writer.uint32(96).int64(message.blockHeight);
                    if (message.producerId != null && $Object.hasOwnProperty.call(message, "producerId") && message.producerId.length)
                        writer.uint32(106).bytes(message.producerId);
                    if (message.signature != null && $Object.hasOwnProperty.call(message, "signature") && message.signature.length)
                        writer.uint32(114).bytes(message.signature);
                    if (message.pubkey != null && $Object.hasOwnProperty.call(message, "pubkey") && message.pubkey.length)
                        writer.uint32(122).bytes(message.pubkey);
                    if (message.alg != null && $Object.hasOwnProperty.call(message, "alg") && message.alg !== "")
                        writer.uint32(130).string(message.alg);
                    if (message.$unknowns != null && $Object.hasOwnProperty.call(message, "$unknowns"))
                        for (let i = 0; i < message.$unknowns.length; ++i)
                            writer.raw(message.$unknowns[i]);
                    return writer;
                };

                ReputationEvent.decode = function (reader, length, _end, _depth, _target) {
                    if (!(reader instanceof $Reader))
                        reader = $Reader.create(reader);
                    if (_depth === $undefined)
                        _depth = 0;
                    if (_depth > $Reader.recursionLimit)
                        throw $Error("max depth exceeded");
                    let end, message, value;
                    if (length === $undefined)
                        end = reader.len;
                    else {
                        end = reader.pos + length;
                        if (end > reader.len)
                            throw $RangeError("index out of range");
                        length = reader.len;
                        reader.len = end;
                    }
                    message = _target || new $root.cybermesh.control.v1.ReputationEvent();
                    while (reader.pos < end) {
                        let start = reader.pos;
                        let tag = reader.tag();
                        if (tag === _end) {
                            _end = $undefined;
                            break;
                        }
                        let wireType = tag & 7;
                        switch (tag >>>= 3) {
                        case 1: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.stringVerify()).length)
                                    message.aiMessageId = value;
                                else
                                    delete message.aiMessageId;
                                continue;
                            }
                        case 2: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.bytes()).length)
                                    message.aiProducerId = value;
                                else
                                    delete message.aiProducerId;
                                continue;
                            }
                        case 3: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.stringVerify()).length)
                                    message.messageType = value;
                                else
                                    delete message.messageType;
                                continue;
                            }
                        case 4: {
                                if (wireType !== 0)
                                    break;
                                if (value = reader.int32())
                                    message.score = value;
                                else
                                    delete message.score;
                                continue;
                            }
                        case 5: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.stringVerify()).length)
                                    message.reason = value;
                                else
                                    delete message.reason;
                                continue;
                            }
                        case 6: {
                                if (wireType !== 0)
                                    break;
                                if (value = reader.bool())
                                    message.confirmed = value;
                                else
                                    delete message.confirmed;
                                continue;
                            }
                        case 7: {
                                if (wireType !== 0)
                                    break;
                                if (value = reader.bool())
                                    message.falsePositive = value;
                                else
                                    delete message.falsePositive;
                                continue;
                            }
                        case 8: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.stringVerify()).length)
                                    message.analystNotes = value;
                                else
                                    delete message.analystNotes;
                                continue;
                            }
                        case 9: {
                                if (wireType !== 0)
                                    break;
                                if (value = reader.uint32())
                                    message.incidentSeverity = value;
                                else
                                    delete message.incidentSeverity;
                                continue;
                            }
                        case 10: {
                                if (wireType !== 0)
                                    break;
                                if (value = reader.bool())
                                    message.preventedAttack = value;
                                else
                                    delete message.preventedAttack;
                                continue;
                            }
                        case 11: {
                                if (wireType !== 0)
                                    break;
                                if (typeof (value = reader.int64()) === "object" ? value.low || value.high : value !== 0)
                                    message.timestamp = value;
                                else
                                    delete message.timestamp;
                                continue;
                            }
                        case 12: {
                                if (wireType !== 0)
                                    break;
                                if (typeof (value = reader.int64()) === "object" ? value.low || value.high : value !== 0)
                                    message.blockHeight = value;
                                else
                                    delete message.blockHeight;
                                continue;
                            }
                        case 13: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.bytes()).length)
                                    message.producerId = value;
                                else
                                    delete message.producerId;
                                continue;
                            }
                        case 14: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.bytes()).length)
                                    message.signature = value;
                                else
                                    delete message.signature;
                                continue;
                            }
                        case 15: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.bytes()).length)
                                    message.pubkey = value;
                                else
                                    delete message.pubkey;
                                continue;
                            }
                        case 16: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.stringVerify()).length)
                                    message.alg = value;
                                else
                                    delete message.alg;
                                continue;
                            }
                        }
                        reader.skipType(wireType, _depth, tag);
                        if (!reader.discardUnknown) {
                            $util.makeProp(message, "$unknowns", false);
                            (message.$unknowns || (message.$unknowns = [])).push(reader.raw(start, reader.pos));
                        }
                    }
                    if (length !== $undefined) {
                        if (reader.pos !== end)
                            throw $RangeError("index out of range");
                        reader.len = length;
                    }
                    if (_end !== $undefined)
                        throw $Error("missing end group");
                    return message;
                };

                return ReputationEvent;
            })();

            v1.EvidenceRequestEvent = (function() {

                const EvidenceRequestEvent = function (properties) {
                    this.requestedTypes = [];
                    if (properties)
                        for (let keys = $Object.keys(properties), i = 0; i < keys.length; ++i)
                            if (properties[keys[i]] != null && keys[i] !== "__proto__")
                                this[keys[i]] = properties[keys[i]];
                };

                EvidenceRequestEvent.prototype.requestId = "";
                EvidenceRequestEvent.prototype.anomalyId = "";
                EvidenceRequestEvent.prototype.evidenceId = "";
                EvidenceRequestEvent.prototype.requestType = "";
                EvidenceRequestEvent.prototype.requestedTypes = $util.emptyArray;
                EvidenceRequestEvent.prototype.requestReason = "";
                EvidenceRequestEvent.prototype.deadlineTs = $util.Long ? $util.Long.fromBits(0,0,false) : 0;
                EvidenceRequestEvent.prototype.evidenceAccepted = false;
                EvidenceRequestEvent.prototype.rejectionReason = "";
                EvidenceRequestEvent.prototype.evidenceQualityScore = 0;
                EvidenceRequestEvent.prototype.challengeReason = "";
                EvidenceRequestEvent.prototype.challengeData = $util.newBuffer([]);
                EvidenceRequestEvent.prototype.timestamp = $util.Long ? $util.Long.fromBits(0,0,false) : 0;
                EvidenceRequestEvent.prototype.blockHeight = $util.Long ? $util.Long.fromBits(0,0,false) : 0;
                EvidenceRequestEvent.prototype.producerId = $util.newBuffer([]);
                EvidenceRequestEvent.prototype.signature = $util.newBuffer([]);
                EvidenceRequestEvent.prototype.pubkey = $util.newBuffer([]);
                EvidenceRequestEvent.prototype.alg = "";

                EvidenceRequestEvent.encode = function (message, writer, _depth) {
                    if (!writer)
                        writer = $Writer.create();
                    if (_depth === $undefined)
                        _depth = 0;
                    if (_depth > $util.recursionLimit)
                        throw $Error("max depth exceeded");
                    if (message.requestId != null && $Object.hasOwnProperty.call(message, "requestId") && message.requestId !== "")
                        writer.uint32(10).string(message.requestId);
                    if (message.anomalyId != null && $Object.hasOwnProperty.call(message, "anomalyId") && message.anomalyId !== "")
                        writer.uint32(18).string(message.anomalyId);
                    if (message.evidenceId != null && $Object.hasOwnProperty.call(message, "evidenceId") && message.evidenceId !== "")
                        writer.uint32(26).string(message.evidenceId);
                    if (message.requestType != null && $Object.hasOwnProperty.call(message, "requestType") && message.requestType !== "")
                        writer.uint32(34).string(message.requestType);
                    if (message.requestedTypes != null && message.requestedTypes.length)
                        for (let i = 0; i < message.requestedTypes.length; ++i)
                            writer.uint32(42).string(message.requestedTypes[i]);
                    if (message.requestReason != null && $Object.hasOwnProperty.call(message, "requestReason") && message.requestReason !== "")
                        writer.uint32(50).string(message.requestReason);
                    if (message.deadlineTs != null && $Object.hasOwnProperty.call(message, "deadlineTs") && (typeof message.deadlineTs === "object" ? message.deadlineTs.low || message.deadlineTs.high : message.deadlineTs !== 0))
                        writer.uint32(56).int64(message.deadlineTs);
                    if (message.evidenceAccepted != null && $Object.hasOwnProperty.call(message, "evidenceAccepted") && message.evidenceAccepted !== false)
                        writer.uint32(64).bool(message.evidenceAccepted);
                    if (message.rejectionReason != null && $Object.hasOwnProperty.call(message, "rejectionReason") && message.rejectionReason !== "")
                        writer.uint32(74).string(message.rejectionReason);
                    if (message.evidenceQualityScore != null && $Object.hasOwnProperty.call(message, "evidenceQualityScore") && message.evidenceQualityScore !== 0)
                        writer.uint32(80).uint32(message.evidenceQualityScore);
                    if (message.challengeReason != null && $Object.hasOwnProperty.call(message, "challengeReason") && message.challengeReason !== "")
                        writer.uint32(90).string(message.challengeReason);
                    if (message.challengeData != null && $Object.hasOwnProperty.call(message, "challengeData") && message.challengeData.length)
                        writer.uint32(98).bytes(message.challengeData);
                    if (message.timestamp != null && $Object.hasOwnProperty.call(message, "timestamp") && (typeof message.timestamp === "object" ? message.timestamp.low || message.timestamp.high : message.timestamp !== 0))
                        writer.uint32(104).int64(message.timestamp);
                    if (message.blockHeight != null && $Object.hasOwnProperty.call(message, "blockHeight") && (typeof message.blockHeight === "object" ? message.blockHeight.low || message.blockHeight.high : message.blockHeight !== 0))
                        writer.uint32(112).int64(message.blockHeight);
                    if (message.producerId != null && $Object.hasOwnProperty.call(message, "producerId") && message.producerId.length)
                        writer.uint32(122).bytes(message.producerId);
                    if (message.signature != null && $Object.hasOwnProperty.call(message, "signature") && message.signature.length)
                        writer.uint32(130).bytes(message.signature);
                    if (message.pubkey != null && $Object.hasOwnProperty.call(message, "pubkey") && message.pubkey.length)
                        writer.uint32(138).bytes(message.pubkey);
                    if (message.alg != null && $Object.hasOwnProperty.call(message, "alg") && message.alg !== "")
                        writer.uint32(146).string(message.alg);
                    if (message.$unknowns != null && $Object.hasOwnProperty.call(message, "$unknowns"))
                        for (let i = 0; i < message.$unknowns.length; ++i)
                            writer.raw(message.$unknowns[i]);
                    return writer;
                };

                EvidenceRequestEvent.decode = function (reader, length, _end, _depth, _target) {
                    if (!(reader instanceof $Reader))
                        reader = $Reader.create(reader);
                    if (_depth === $undefined)
                        _depth = 0;
                    if (_depth > $Reader.recursionLimit)
                        throw $Error("max depth exceeded");
                    let end, message, value;
                    if (length === $undefined)
                        end = reader.len;
                    else {
                        end = reader.pos + length;
                        if (end > reader.len)
                            throw $RangeError("index out of range");
                        length = reader.len;
                        reader.len = end;
                    }
                    message = _target || new $root.cybermesh.control.v1.EvidenceRequestEvent();
                    while (reader.pos < end) {
                        let start = reader.pos;
                        let tag = reader.tag();
                        if (tag === _end) {
                            _end = $undefined;
                            break;
                        }
                        let wireType = tag & 7;
                        switch (tag >>>= 3) {
                        case 1: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.stringVerify()).length)
                                    message.requestId = value;
                                else
                                    delete message.requestId;
                                continue;
                            }
                        case 2: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.stringVerify()).length)
                                    message.anomalyId = value;
                                else
                                    delete message.anomalyId;
                                continue;
                            }
                        case 3: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.stringVerify()).length)
                                    message.evidenceId = value;
                                else
                                    delete message.evidenceId;
                                continue;
                            }
                        case 4: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.stringVerify()).length)
                                    message.requestType = value;
                                else
                                    delete message.requestType;
                                continue;
                            }
                        case 5: {
                                if (wireType !== 2)
                                    break;
                                if (!(message.requestedTypes && message.requestedTypes.length))
                                    message.requestedTypes = [];
                                message.requestedTypes.push(reader.stringVerify());
                                continue;
                            }
                        case 6: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.stringVerify()).length)
                                    message.requestReason = value;
                                else
                                    delete message.requestReason;
                                continue;
                            }
                        case 7: {
                                if (wireType !== 0)
                                    break;
                                if (typeof (value = reader.int64()) === "object" ? value.low || value.high : value !== 0)
                                    message.deadlineTs = value;
                                else
                                    delete message.deadlineTs;
                                continue;
                            }
                        case 8: {
                                if (wireType !== 0)
                                    break;
                                if (value = reader.bool())
                                    message.evidenceAccepted = value;
                                else
                                    delete message.evidenceAccepted;
                                continue;
                            }
                        case 9: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.stringVerify()).length)
                                    message.rejectionReason = value;
                                else
                                    delete message.rejectionReason;
                                continue;
                            }
                        case 10: {
                                if (wireType !== 0)
                                    break;
                                if (value = reader.uint32())
                                    message.evidenceQualityScore = value;
                                else
                                    delete message.evidenceQualityScore;
                                continue;
                            }
                        case 11: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.stringVerify()).length)
                                    message.challengeReason = value;
                                else
                                    delete message.challengeReason;
                                continue;
                            }
                        case 12: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.bytes()).length)
                                    message.challengeData = value;
                                else
                                    delete message.challengeData;
                                continue;
                            }
                        case 13: {
                                if (wireType !== 0)
                                    break;
                                if (typeof (value = reader.int64()) === "object" ? value.low || value.high : value !== 0)
                                    message.timestamp = value;
                                else
                                    delete message.timestamp;
                                continue;
                            }
                        case 14: {
                                if (wireType !== 0)
                                    break;
                                if (typeof (value = reader.int64()) === "object" ? value.low || value.high : value !== 0)
                                    message.blockHeight = value;
                                else
                                    delete message.blockHeight;
                                continue;
                            }
                        case 15: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.bytes()).length)
                                    message.producerId = value;
                                else
                                    delete message.producerId;
                                continue;
                            }
                        case 16: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.bytes()).length)
                                    message.signature = value;
                                else
                                    delete message.signature;
                                continue;
                            }
                        case 17: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.bytes()).length)
                                    message.pubkey = value;
                                else
                                    delete message.pubkey;
                                continue;
                            }
                        case 18: {
                                if (wireType !== 2)
                                    break;
                                if ((value = reader.stringVerify()).length)
                                    message.alg = value;
                                else
                                    delete message.alg;
                                continue;
                            }
                        }
                        reader.skipType(wireType, _depth, tag);
                        if (!reader.discardUnknown) {
                            $util.makeProp(message, "$unknowns", false);
                            (message.$unknowns || (message.$unknowns = [])).push(reader.raw(start, reader.pos));
                        }
                    }
                    if (length !== $undefined) {
                        if (reader.pos !== end)
                            throw $RangeError("index out of range");
                        reader.len = length;
                    }
                    if (_end !== $undefined)
                        throw $Error("missing end group");
                    return message;
                };

                return EvidenceRequestEvent;
            })();

            return v1;
        })();

        return control;
    })();

    return cybermesh;
})();

export {
  $root as default
};
