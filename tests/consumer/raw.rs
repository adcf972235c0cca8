//! Writes a record as no client library lets one: with header names that are no text.
//!
//! Layout: <https://kafka.apache.org/protocol.html> (Produce, version 7) and
//! <https://kafka.apache.org/documentation/#recordbatch>.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

/// Writes one record to partition 0 of a broker that leads it.
pub(crate) fn produce(broker: &str, topic: &str, payload: &[u8], headers: &[(&[u8], &[u8])]) {
    let batch = batch(&record(payload, headers));
    let mut request = Vec::new();
    // Produce, its version, a number for the answer, and the client's name.
    for number in [0_i16, 7, 0, 1] {
        request.extend(number.to_be_bytes());
    }
    request.extend(string("raw"));
    // No transaction, all in-sync replicas, 5 s, one topic, one partition.
    request.extend((-1_i16).to_be_bytes());
    request.extend((-1_i16).to_be_bytes());
    request.extend(5_000_i32.to_be_bytes());
    request.extend(1_i32.to_be_bytes());
    request.extend(string(topic));
    request.extend(1_i32.to_be_bytes());
    request.extend(0_i32.to_be_bytes());
    request.extend(sized(&batch));

    let mut stream = TcpStream::connect(broker).unwrap();
    stream.write_all(&sized(&request)).unwrap();
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    let mut answer = vec![0; u32::from_be_bytes(length).try_into().unwrap()];
    stream.read_exact(&mut answer).unwrap();
    // The number, the count of topics, the topic, the count of partitions, the partition.
    let code = &answer[4 + 4 + 2 + topic.len() + 4 + 4..][..2];
    assert_eq!(code, [0, 0], "the broker took it");
}

fn string(text: &str) -> Vec<u8> {
    let length = i16::try_from(text.len()).unwrap();
    [&length.to_be_bytes(), text.as_bytes()].concat()
}

fn sized(bytes: &[u8]) -> Vec<u8> {
    let length = i32::try_from(bytes.len()).unwrap();
    [&length.to_be_bytes(), bytes].concat()
}

fn varint(number: i64) -> Vec<u8> {
    let mut left = ((number << 1) ^ (number >> 63)).cast_unsigned();
    let mut bytes = Vec::new();
    while left > 0x7f {
        bytes.push((left & 0x7f) as u8 | 0x80);
        left >>= 7;
    }
    bytes.push(left as u8);
    bytes
}

fn counted(bytes: &[u8]) -> Vec<u8> {
    [varint(bytes.len().try_into().unwrap()), bytes.to_vec()].concat()
}

fn record(payload: &[u8], headers: &[(&[u8], &[u8])]) -> Vec<u8> {
    // No attributes, no distance in time or place, no key.
    let mut record = [&[0][..], &varint(0), &varint(0), &varint(-1)].concat();
    record.extend(counted(payload));
    record.extend(varint(headers.len().try_into().unwrap()));
    for (name, value) in headers {
        record.extend(counted(name));
        record.extend(counted(value));
    }
    counted(&record)
}

fn batch(record: &[u8]) -> Vec<u8> {
    // No attributes, last distance 0, first and last time 0, no producer and none of its numbers.
    let mut checked = vec![0; 2 + 4 + 8 + 8];
    checked.extend([0xff; 8 + 2 + 4]);
    checked.extend(1_i32.to_be_bytes());
    checked.extend(record);
    // Offset 0, the length from here on, no epoch, version 2.
    let mut batch = vec![0; 8];
    batch.extend(i32::try_from(checked.len() + 9).unwrap().to_be_bytes());
    batch.extend([0xff, 0xff, 0xff, 0xff, 2]);
    batch.extend(crc32c(&checked).to_be_bytes());
    batch.extend(checked);
    batch
}

fn crc32c(bytes: &[u8]) -> u32 {
    let step = |sum: u32, _| (sum >> 1) ^ (0x82f6_3b78 & (sum & 1).wrapping_neg());
    let sum = bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), step)
    });
    !sum
}
