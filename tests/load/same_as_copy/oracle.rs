//! What the server's own COPY says of values.

use std::collections::HashSet;
use std::pin::pin;

use bytes::Bytes;
use futures_util::SinkExt;
use tokio_postgres::{Client, Error, Statement};

use super::Row;

/// A line by which the server knows what lines end with, before it counts those of a value.
const HEADER: &str = "id,v\n";
/// Rows that are tried at once after one was refused; twice as many after each piece that COPY takes.
const PIECE: usize = 16;

/// The rows whose values a cast of the server takes, which is quicker to ask than COPY, and takes all that COPY does; and
/// the others.
pub(super) async fn sorted_by_cast(client: &Client, kind: &str, rows: Vec<Row>) -> (Vec<Row>, Vec<Row>) {
    let cast = format!(
        "CREATE TEMP TABLE IF NOT EXISTS tried (id int, value text); TRUNCATE tried;
         CREATE OR REPLACE FUNCTION pg_temp.cast_tried() RETURNS SETOF int LANGUAGE plpgsql AS $body$
         DECLARE row record;
         BEGIN
             FOR row IN SELECT id, value FROM tried LOOP
                 BEGIN
                     PERFORM row.value::{kind};
                     RETURN NEXT row.id;
                 EXCEPTION WHEN OTHERS THEN
                 END;
             END LOOP;
         END $body$"
    );
    client.batch_execute(&cast).await.unwrap();
    let copy = client.prepare("COPY tried FROM STDIN (FORMAT csv, HEADER)").await.unwrap();
    send(client, &copy, rows.iter().map(Row::line).collect()).await.unwrap();
    let taken = client.query("SELECT cast_tried FROM pg_temp.cast_tried()", &[]).await.unwrap();
    let taken: HashSet<usize> = taken.iter().map(|row| row.get::<_, i32>(0) as usize).collect();
    rows.into_iter().partition(|row| taken.contains(&row.id))
}

/// Copies values to column `v<column>` of `copied`, and answers which of them COPY takes.
pub(super) async fn copy_what_fits(client: &Client, column: usize, rows: &[Row]) -> Vec<bool> {
    let copy = client.prepare(&format!("COPY copied (id, v{column}) FROM STDIN (FORMAT csv, HEADER)")).await.unwrap();
    let mut fits = Vec::with_capacity(rows.len());
    let mut waiting = String::new();
    let mut piece = PIECE;
    while let Some(rest) = rows.get(fits.len()..).filter(|rest| !rest.is_empty()) {
        let lines: Vec<String> = rest.iter().take(piece).map(Row::line).collect();
        match send(client, &copy, lines.concat()).await {
            Ok(_) => {
                fits.extend(lines.iter().map(|_| true));
                piece *= 2;
            }
            Err(error) => {
                piece = PIECE;
                let good = refused(&lines, &error);
                waiting.extend(lines.iter().take(good).map(String::as_str));
                fits.extend((0..=good).map(|index| index < good));
            }
        }
    }
    send(client, &copy, waiting).await.unwrap();
    fits
}

async fn send(client: &Client, copy: &Statement, text: String) -> Result<u64, Error> {
    let mut sink = pin!(client.copy_in(copy).await?);
    sink.send(Bytes::from(HEADER.to_owned() + &text)).await?;
    sink.finish().await
}

/// The number of the row that the server names by the line that it ends on.
fn refused(rows: &[String], error: &Error) -> usize {
    let place = error.as_db_error().and_then(|error| error.where_()).unwrap_or_default();
    let (_, rest) = place.split_once("COPY copied, line ").unwrap_or_else(|| panic!("no row is named: {error:?}"));
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    let named: usize = digits.parse().unwrap();
    let ends = rows.iter().scan(1, |line, row| {
        *line += row.matches('\n').count();
        Some(*line)
    });
    ends.take_while(|end| *end < named).count()
}
