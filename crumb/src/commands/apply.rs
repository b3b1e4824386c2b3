//! `crumb apply` and `crumb dump`

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use serde_json::{Value as Json, json};

use super::Place;
use super::api::{Api, with_api};
use super::network_file::{Fields, KINDS, Kind, is_same, list, read, text, write};

/// Make the network match a file: advertisers, offers, affiliates, campaigns, prices, caps, postbacks.
///
/// What the file names is created or changed until it is as the file says; done again, it changes nothing. A thing
/// is known again by its names, else by its number. What the file does not name stays as it is, unless --prune
/// takes it out of use. Works with and without a running server.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  crumb dump > network.toml\n  crumb apply network.toml --dry-run\n  \
                        crumb apply network.toml --prune")]
pub struct Apply {
    #[command(flatten)]
    place: Place,
    /// The file; `crumb dump` writes one
    file: PathBuf,
    /// Only print the difference
    #[arg(long)]
    dry_run: bool,
    /// Take out of use what the file does not name: inactive or deleted, whichever the kind has
    #[arg(long)]
    prune: bool,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

/// Print the network as a file that `crumb apply` reads.
///
/// Keys, conversions and signing secrets are not in it.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  crumb dump > network.toml")]
pub struct Dump {
    #[command(flatten)]
    place: Place,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

impl Dump {
    #[expect(clippy::print_stdout, reason = "a command prints what it was asked for")]
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let network = with_api(&self.place, "dump", load)?;
        if self.json {
            println!("{}", json!(network));
        } else {
            print!("{}", write(&network)?);
        }
        Ok(ExitCode::SUCCESS)
    }
}

type Network = BTreeMap<&'static str, Vec<Fields>>;

fn load(api: &Api) -> anyhow::Result<Network> {
    KINDS.iter().map(|kind| Ok((kind.noun, list(api, kind)?))).collect()
}

impl Apply {
    #[expect(clippy::print_stdout, reason = "a command prints what it was asked for")]
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let path = self.file.display();
        let file = std::fs::read_to_string(&self.file).with_context(|| format!("{path}: cannot be read"))?;
        let things = read(&file).with_context(|| format!("{path}: not a network"))?;
        let changes = with_api(&self.place, "apply", |api| {
            let mut applying = Applying::new(api, &things, load(api)?, self.dry_run);
            for (kind, fields) in &things {
                applying.apply(kind, fields).with_context(|| format!("{path}: {}", kind.title(fields)))?;
            }
            applying.link().with_context(|| format!("{path}: redirects"))?;
            if self.prune {
                applying.prune()?;
            }
            Ok(applying.changes)
        })?;
        if self.json {
            println!("{}", json!({ "dry_run": self.dry_run, "changes": changes }));
            return Ok(ExitCode::SUCCESS);
        }
        for change in &changes {
            println!("{}", change["text"].as_str().unwrap_or_default());
        }
        let made = if self.dry_run { "would be made" } else { "made" };
        match changes.len() {
            0 => println!("the network is as the file says"),
            1 => println!("1 change {made}"),
            several => println!("{several} changes {made}"),
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// A network on its way to what a file says.
struct Applying<'a> {
    api: &'a Api,
    dry_run: bool,
    network: Network,
    /// The keys that the file's own things have, by kind: nothing else may take their numbers.
    keys: BTreeMap<&'static str, BTreeSet<Vec<String>>>,
    /// What the file's numbers are in the network, by kind.
    numbers: BTreeMap<(&'static str, u64), String>,
    /// What the file names, by kind and place in the network.
    named: BTreeSet<(&'static str, usize)>,
    /// Offers' redirects to others, which may come later in the file: the offer's place, and the file's say.
    redirects: Vec<(usize, Json)>,
    changes: Vec<Json>,
}

impl<'a> Applying<'a> {
    fn new(api: &'a Api, things: &[(&'static Kind, Fields)], network: Network, dry_run: bool) -> Self {
        let mut keys: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for (kind, fields) in things {
            keys.entry(kind.noun).or_default().insert(kind.key_of(fields));
        }
        Self {
            api,
            dry_run,
            network,
            keys,
            numbers: BTreeMap::new(),
            named: BTreeSet::new(),
            redirects: Vec::new(),
            changes: Vec::new(),
        }
    }

    /// Creates a thing, or changes what is different of it.
    fn apply(&mut self, kind: &'static Kind, sent: &Fields) -> anyhow::Result<()> {
        let mut fields = Fields::new();
        let mut redirect = None;
        for (name, value) in sent {
            if (kind.noun, name.as_str()) == ("offer", "redirect_offer_id") {
                redirect = Some(value.clone());
                continue;
            }
            let reference = kind.references.iter().find(|(field, _)| field == name);
            let value = match reference {
                Some((_, noun)) => self.number(noun, value).with_context(|| name.clone())?,
                None => text(Some(value)),
            };
            fields.insert(name.clone(), Json::String(value));
        }
        let place = match self.find(kind, sent, &fields)? {
            Some(place) => {
                self.change(kind, place, &fields)?;
                place
            }
            None => self.create(kind, &fields)?,
        };
        self.named.insert((kind.noun, place));
        self.redirects.extend(redirect.map(|it| (place, it)));
        let now = &self.network[kind.noun][place];
        let is = |field| text(now.get(field));
        if let (Some(id), Some(field)) = (kind.id_of(sent), kind.id) {
            self.numbers.insert((kind.noun, id), is(field));
        }
        // An offer comes with its first creative.
        if let Some(creative) =
            sent.get("creative_id").and_then(Json::as_u64).filter(|_| kind.noun == "offer")
        {
            let number = is("creative_id");
            self.numbers.insert(("creative", creative), number);
        }
        Ok(())
    }

    /// What the network calls the thing of that number or name.
    fn number(&self, noun: &'static str, value: &Json) -> anyhow::Result<String> {
        let kind = Kind::of(noun).context("a kind")?;
        let (Some(id_field), value) = (kind.id, text(Some(value))) else { return Ok(text(Some(value))) };
        if value.is_empty() || value == "0" {
            return Ok(value);
        }
        if let Ok(number) = value.parse::<u64>() {
            // A number that is not in the file is the network's own.
            return Ok(self.numbers.get(&(noun, number)).cloned().unwrap_or(value));
        }
        let name = kind.name.with_context(|| format!("{value} is no number"))?;
        let mut found = self.network[noun].iter().filter(|it| text(it.get(name)) == value);
        match (found.next(), found.next()) {
            (Some(one), None) => Ok(text(one.get(id_field))),
            (None, _) => bail!("there is no {noun} called {value}"),
            (Some(_), Some(_)) => bail!("several are called {value}: use a number"),
        }
    }

    /// The place of what the file means: by what tells it apart, else by its number.
    fn find(&self, kind: &'static Kind, sent: &Fields, fields: &Fields) -> anyhow::Result<Option<usize>> {
        let rows = &self.network[kind.noun];
        let id = kind.id_of(sent);
        let first_creative = (kind.noun == "creative")
            .then(|| id.and_then(|id| self.numbers.get(&("creative", id))))
            .flatten();
        if let Some(number) = first_creative {
            return Ok(rows.iter().position(|it| text(it.get("creative_id")) == *number));
        }
        let key = kind.key_of(fields);
        let free = |place: &usize| !self.named.contains(&(kind.noun, *place));
        let alike: Vec<usize> =
            (0..rows.len()).filter(|it| kind.key_of(&rows[*it]) == key && free(it)).collect();
        let of_id = |place: &usize| id.is_some() && kind.id_of(&rows[*place]) == id;
        if let Some(place) = alike.iter().find(|it| of_id(it)).or(alike.first()) {
            if alike.len() > 1 && !of_id(place) {
                bail!("the network has several like it: say which by {}", kind.id.unwrap_or("number"));
            }
            return Ok(Some(*place));
        }
        // Renamed: its number is there, under a name that nothing else in the file has.
        let taken = self.keys.get(kind.noun);
        let renamed = (0..rows.len()).filter(free).find(|place| {
            of_id(place) && taken.is_none_or(|keys| !keys.contains(&kind.key_of(&rows[*place])))
        });
        Ok(renamed)
    }

    fn change(&mut self, kind: &'static Kind, place: usize, fields: &Fields) -> anyhow::Result<()> {
        let now = &self.network[kind.noun][place];
        let differs = |(name, value): &(&String, &Json)| {
            !kind.is_told(name) && !is_same(&text(now.get(*name)), &text(Some(value)))
        };
        let different: Vec<(String, String)> =
            fields.iter().filter(differs).map(|(name, value)| (name.clone(), text(Some(value)))).collect();
        if different.is_empty() {
            return Ok(());
        }
        let was: Vec<_> = different.iter().map(|(name, _)| text(now.get(name))).collect();
        let words =
            different.iter().zip(&was).map(|((name, value), was)| format!("{name} {was:?} -> {value:?}"));
        let words = format!("~ {}: {}", kind.title(now), words.collect::<Vec<_>>().join(", "));
        self.changes
            .push(json!({ "change": "update", "kind": kind.noun, "text": words, "fields": different }));
        let mut sent = different.clone();
        let endpoint = if let Some(id) = kind.id {
            sent.push((id.to_owned(), text(now.get(id))));
            format!("update_{}", kind.noun)
        } else {
            // What has no number is set, named by what tells it apart.
            sent.extend(kind.key.iter().map(|field| ((*field).to_owned(), text(now.get(*field)))));
            kind.noun.to_owned()
        };
        let changed = if self.dry_run { None } else { Some(send(self.api, &endpoint, &sent)?) };
        let now = self.network.get_mut(kind.noun).and_then(|it| it.get_mut(place)).context("it was found")?;
        match changed {
            Some(changed) => *now = changed,
            None => now.extend(different.into_iter().map(|(name, value)| (name, Json::String(value)))),
        }
        Ok(())
    }

    fn create(&mut self, kind: &'static Kind, fields: &Fields) -> anyhow::Result<usize> {
        let is_sent = |name: &str| !kind.is_told(name) && !kind.changed.contains(&name);
        let sent = fields.iter().filter(|(name, _)| is_sent(name));
        let sent: Vec<(String, String)> = sent
            .map(|(name, value)| (name.clone(), text(Some(value))))
            .filter(|(_, value)| !value.is_empty())
            .collect();
        let created = if self.dry_run {
            let mut foreseen = fields.clone();
            foreseen.retain(|name, _| is_sent(name));
            let number = format!("of [[{}]] {}", kind.noun, self.network[kind.noun].len() + 1);
            foreseen.extend(kind.id.map(|id| (id.to_owned(), Json::String(number))));
            foreseen
        } else {
            send(self.api, kind.noun, &sent)?
        };
        let words = format!("+ {}", kind.title(&created));
        self.changes.push(json!({ "change": "create", "kind": kind.noun, "text": words, "fields": sent }));
        let rows = self.network.get_mut(kind.noun).context("all kinds were loaded")?;
        rows.push(created);
        let place = rows.len() - 1;
        if kind.noun == "offer" && !self.dry_run {
            // Its first creative came with it.
            let creative = Kind::of("creative").context("a kind")?;
            self.network.insert("creative", list(self.api, creative)?);
        }
        let rest = fields.iter().filter(|(name, _)| kind.changed.contains(&name.as_str()));
        let rest: Fields = rest.map(|(name, value)| (name.clone(), value.clone())).collect();
        if !rest.is_empty() && !self.dry_run {
            self.change(kind, place, &rest)?;
        }
        Ok(place)
    }

    /// Sets where offers redirect to, now that all of them are there.
    fn link(&mut self) -> anyhow::Result<()> {
        let kind = Kind::of("offer").context("a kind")?;
        for (place, value) in std::mem::take(&mut self.redirects) {
            let number = self.number("offer", &value)?;
            let fields = Fields::from_iter([("redirect_offer_id".to_owned(), Json::String(number))]);
            self.change(kind, place, &fields)?;
        }
        Ok(())
    }

    /// Takes out of use what the file does not name.
    fn prune(&mut self) -> anyhow::Result<()> {
        for kind in KINDS.iter().rev() {
            let Some((field, off)) = kind.off else { continue };
            for place in 0..self.network[kind.noun].len() {
                let now = &self.network[kind.noun][place];
                let first = |offer: &Fields| offer.get("creative_id") == now.get("creative_id");
                let is_first = kind.noun == "creative" && self.network["offer"].iter().any(first);
                if is_first || self.named.contains(&(kind.noun, place)) {
                    continue;
                }
                self.change(kind, place, &Fields::from_iter([(field.to_owned(), json!(off))]))?;
            }
        }
        Ok(())
    }
}

/// Sends fields to an endpoint and returns the thing that it answers with.
fn send(api: &Api, endpoint: &str, fields: &[(String, String)]) -> anyhow::Result<Fields> {
    let fields: Fields =
        fields.iter().map(|(name, value)| (name.clone(), Json::String(value.clone()))).collect();
    let body = serde_json::to_vec(&fields)?;
    let answer = api.post(endpoint, &[], ("application/json", &body))?;
    let thing = answer.as_object().into_iter().flatten().find_map(|(_, value)| value.as_object());
    thing.cloned().ok_or_else(|| anyhow!("the server's answer has nothing in it"))
}
