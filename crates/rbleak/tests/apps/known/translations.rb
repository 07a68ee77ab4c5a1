# Keys that are looked up for the first time.
require 'i18n'
I18n.available_locales = [:en]
I18n.backend.store_translations(:en, 400.times.to_h { |n| [:"key#{n}", "text #{n}"] })
STEP = ->(number) { I18n.t("key#{number}") }
